// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the item table of fw_cfg and its directory of files, and serves the two ports that read
 * them.
 */
#include "devices/fw_cfg.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"

#define PORT_SELECTOR  0x510 /* and the data register behind it */
#define KEY_SIGNATURE  0x00
#define KEY_ID	       0x01
#define KEY_FILE_DIR   0x19
#define KEY_FILE_FIRST 0x20
#define ID_TRADITIONAL 1 /* bit 1 would be DMA */
#define NOTHING	       0xffff
#define MAX_ITEMS      16
#define MAX_FILES      24

struct dir_entry {
	u32 size; /* big-endian, as all in here */
	u16 select;
	u16 reserved;
	char name[FW_CFG_FILE_NAME];
};

struct fw_cfg_item {
	u16 key;
	u32 len;
	u8 *data;
};

struct fw_cfg {
	pthread_mutex_t lock; /* selection */
	const struct fw_cfg_item *selected;
	u32 at;
	struct fw_cfg_item items[MAX_ITEMS + MAX_FILES];
	unsigned n_items, n_files;
	struct {
		u32 count; /* big-endian */
		struct dir_entry entries[MAX_FILES];
	} dir; /* as the guest reads it: no padding in there */
	struct fw_cfg_item dir_item;
};

static const struct fw_cfg_item *fw_cfg_find_item(const struct fw_cfg *f, u16 key)
{
	if (key == KEY_FILE_DIR)
		return &f->dir_item;
	for (unsigned i = 0; i < f->n_items; i++)
		if (f->items[i].key == key)
			return &f->items[i];
	return NULL;
}

static u8 fw_cfg_next_byte(struct fw_cfg *f)
{
	if (!f->selected || f->at >= f->selected->len)
		return 0;
	return f->selected->data[f->at++];
}

static void fw_cfg_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct fw_cfg *f = arg;
	u8 *bytes = data;

	pthread_mutex_lock(&f->lock);
	if (write && offset == 0 && len == 2) {
		f->selected = fw_cfg_find_item(f, load_u16(bytes));
		f->at = 0;
	} else if (!write && offset == 1) {
		for (unsigned i = 0; i < len; i++)
			bytes[i] = fw_cfg_next_byte(f);
	}
	pthread_mutex_unlock(&f->lock);
}

static int fw_cfg_add_item(struct fw_cfg *f, u16 key, const void *data, u32 len)
{
	struct fw_cfg_item *x = &f->items[f->n_items];

	if (fw_cfg_find_item(f, key))
		return -EEXIST;
	if (f->n_items == ARRAY_SIZE(f->items))
		return -ENOSPC;
	x->data = malloc(len ? len : 1);
	if (!x->data)
		return -ENOMEM;
	if (len)
		memcpy(x->data, data, len);
	x->key = key;
	x->len = len;
	f->n_items++;
	return 0;
}

int fw_cfg_create(struct fw_cfg **out, struct host *h)
{
	const u32 id = htole32(ID_TRADITIONAL);
	struct fw_cfg *f = calloc(1, sizeof(*f));
	int ret;

	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	f->dir_item = (struct fw_cfg_item){ KEY_FILE_DIR, sizeof(f->dir.count), (u8 *)&f->dir };
	ret = fw_cfg_add_item(f, KEY_SIGNATURE, "QEMU", 4);
	if (!ret)
		ret = fw_cfg_add_item(f, KEY_ID, &id, sizeof(id));
	if (!ret)
		ret = h->ops->pio_add(h, PORT_SELECTOR, 2, fw_cfg_io, f);
	if (ret) {
		fw_cfg_destroy(f);
		return ret;
	}
	*out = f;
	return 0;
}

void fw_cfg_reset(struct fw_cfg *f)
{
	pthread_mutex_lock(&f->lock);
	f->selected = NULL;
	f->at = 0;
	pthread_mutex_unlock(&f->lock);
}

void fw_cfg_destroy(struct fw_cfg *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n_items; i++)
		free(f->items[i].data);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

int fw_cfg_add(struct fw_cfg *f, u16 key, const void *data, u32 len)
{
	if (key == KEY_FILE_DIR || (key >= KEY_FILE_FIRST && key < KEY_FILE_FIRST + MAX_FILES) ||
	    key == NOTHING)
		return -EINVAL;
	return fw_cfg_add_item(f, key, data, len);
}

int fw_cfg_add_u16(struct fw_cfg *f, u16 key, u16 value)
{
	value = htole16(value);
	return fw_cfg_add(f, key, &value, sizeof(value));
}

int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, u32 len)
{
	struct dir_entry *d = &f->dir.entries[f->n_files];
	u16 key = (u16)(KEY_FILE_FIRST + f->n_files);
	int ret;

	if (!*name || strlen(name) >= FW_CFG_FILE_NAME)
		return -EINVAL;
	for (unsigned i = 0; i < f->n_files; i++)
		if (!strcmp(f->dir.entries[i].name, name))
			return -EEXIST;
	if (f->n_files == MAX_FILES)
		return -ENOSPC;
	ret = fw_cfg_add_item(f, key, data, len);
	if (ret)
		return ret;
	d->size = htobe32(len);
	d->select = htobe16(key);
	memcpy(d->name, name, strlen(name) + 1);
	f->n_files++;
	f->dir.count = htobe32(f->n_files);
	f->dir_item.len = (u32)(sizeof(f->dir.count) + f->n_files * sizeof(*d));
	return 0;
}
