// SPDX-License-Identifier: GPL-2.0-only
/* Translates where devices are plugged in: in a slot of the first bus, or behind a root port. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/umbra-qemu/translate_int.h"

#define ROOT_PORT     "pcie-root-port"
#define SLOT_LAST     31
#define FUNCTION_LAST 7

int device_check_id(const struct option_values *v, const char *key, const char *id, struct err *e)
{
	if (!id || (*id && strlen(id) < 64 && !strpbrk(id, ",=/ ")))
		return 0;
	return values_refuse(v, key, id, "up to 63 letters, digits, '-', '_' and '.'", e);
}

/* Reads a hexadecimal number up to @max; false: there is none. */
static bool parse_hex(const char **at, u64 max, u64 *n)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*n = strtoul(*at, &end, 16);
	*at = end;
	return *n <= max;
}

/* Reads a slot, with the function behind it if there is one. */
static bool parse_addr(const char *addr, u64 *slot, u64 *function)
{
	*function = 0;
	if (!parse_hex(&addr, SLOT_LAST, slot))
		return false;
	if (*addr == '.') {
		addr++;
		if (!parse_hex(&addr, FUNCTION_LAST, function))
			return false;
	}
	return !*addr;
}

static bool is_root_port(const struct option_values *d)
{
	const char *driver = values_look(d, "driver");

	return driver && !strcmp(driver, ROOT_PORT);
}

/* Checks @addr of @d, which is behind a root port: there is one place. */
static int check_addr_behind(const struct option_values *d, const char *addr, struct err *e)
{
	u64 slot, function;

	if (!addr || (parse_addr(addr, &slot, &function) && !slot && !function))
		return 0;
	return values_refuse(d, "addr", addr, "0x0, the one place behind a " ROOT_PORT, e);
}

int device_place(struct translation *t, struct option_values *d, struct device_place *p,
		 struct err *e)
{
	const char *bus = values_take(d, "bus"), *addr = values_take(d, "addr");
	const struct option_values *port;
	u64 function;

	*p = (struct device_place){ .id = values_take(d, "id") };
	if (device_check_id(d, "id", p->id, e))
		return -EINVAL;
	if (bus && strcmp(bus, t->machine->bus) != 0) {
		port = t->machine->express ? group_find(&t->devices, "id", bus) : NULL;
		if (!port || !is_root_port(port))
			return values_refuse(d, "bus", bus, t->machine->buses, e);
		p->port = bus;
		return check_addr_behind(d, addr, e);
	}
	if (addr && (!parse_addr(addr, &p->slot, &function) || !p->slot || function))
		return values_refuse(d, "addr", addr, "a slot from 0x1 to 0x1f, and no function",
				     e);
	return 0;
}

void add_place(char *text, size_t size, const struct device_place *p)
{
	size_t len = strlen(text);

	if (p->id)
		snprintf(text + len, size - len, ",id=%s", p->id);
	len = strlen(text);
	if (p->port)
		snprintf(text + len, size - len, ",bus=%s", p->port);
	else if (p->slot)
		snprintf(text + len, size - len, ",slot=%llu", (unsigned long long)p->slot);
}

/* Reads what the guest shows of a root port. */
static int take_port_numbers(struct option_values *d, char *text, size_t size, struct err *e)
{
	static const char *const keys[] = { "chassis", "port" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t len = strlen(text);
		u64 n = 0;

		if (!values_look(d, keys[i]))
			continue;
		if (values_number(d, keys[i], 255, &n, e))
			return -EINVAL;
		snprintf(text + len, size - len, ",%s=%llu", keys[i], (unsigned long long)n);
	}
	return 0;
}

int translate_root_port(struct translation *t, struct option_values *d, struct err *e)
{
	const char *id, *addr = values_take(d, "addr");
	char text[160], function_text[8] = "";
	u64 slot = 0, function = 0;
	int ret;

	if (!t->machine->express)
		return values_refuse(d, "driver", ROOT_PORT, "machine='q35'", e);
	ret = values_need(d, "id", &id, e);
	if (!ret)
		ret = device_check_id(d, "id", id, e);
	if (!ret)
		ret = values_accept(d, "bus", t->machine->bus, e);
	/* Whether there are others beside function 0 is vmm's to see. */
	if (!ret)
		ret = values_accept(d, "multifunction", "on|off", e);
	if (!ret && (!addr || !parse_addr(addr, &slot, &function) || !slot))
		ret = values_refuse(d, "addr", addr ? addr : "",
				    "a slot from 0x1 to 0x1f, and a function up to 0x7", e);
	if (ret)
		return ret;
	if (function)
		snprintf(function_text, sizeof(function_text), ".%u", (unsigned)function);
	snprintf(text, sizeof(text), "id=%s,slot=%u%s", id, (unsigned)slot, function_text);
	ret = take_port_numbers(d, text, sizeof(text), e);
	if (!ret)
		ret = values_end(d, e);
	return ret ? ret : words_pair(&t->out->args, "--root-port", e, "%s", text);
}
