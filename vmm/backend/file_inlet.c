// SPDX-License-Identifier: GPL-2.0-only
/* Reads a file ahead on a thread that does nothing else. */
#include "vmm/backend/file_inlet.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file_inlet {
	struct file_inlet_config c;
	struct host_thread thread;
	struct loop_call call;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t taken; /* for the thread: all bytes are, or it is to end */
	size_t at, len;	      /* of buf */
	bool eof, ending;
	bool reading; /* the thread is in read(2) */
	bool left;    /* ... and the inlet is its own */
	u8 buf[FILE_INLET_BUFFER];
};

static void file_inlet_free(struct file_inlet *in)
{
	pthread_cond_destroy(&in->taken);
	pthread_mutex_destroy(&in->lock);
	free(in);
}

/* Reads the next bytes, with the lock, which is given back meanwhile. */
static void inlet_read_ahead(struct file_inlet *in)
{
	ssize_t n;

	in->reading = true;
	pthread_mutex_unlock(&in->lock);
	do {
		n = read(in->c.fd, in->buf, sizeof(in->buf));
	} while (n < 0 && errno == EINTR);
	pthread_mutex_lock(&in->lock);
	in->reading = false;
	in->at = 0;
	in->len = n > 0 ? (size_t)n : 0;
	in->eof = n <= 0;
	/* The loop is gone if the inlet is. */
	if (!in->ending)
		loop_call(in->c.loop, &in->call);
}

static void file_inlet_run(void *arg)
{
	struct file_inlet *in = arg;
	bool left;

	pthread_mutex_lock(&in->lock);
	while (!in->ending && !in->eof)
		if (in->at < in->len)
			pthread_cond_wait(&in->taken, &in->lock);
		else
			inlet_read_ahead(in);
	left = in->left;
	pthread_mutex_unlock(&in->lock);
	if (!left)
		return;
	pthread_detach(pthread_self());
	file_inlet_free(in);
}

/* There is no memory for a thread: the input ends before it has begun. */
static void inlet_thread_failed(void *arg)
{
	struct file_inlet *in = arg;

	pthread_mutex_lock(&in->lock);
	in->eof = true;
	pthread_mutex_unlock(&in->lock);
}

int file_inlet_create(struct file_inlet **out, const struct file_inlet_config *c)
{
	struct file_inlet *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->c = *c;
	in->call = (struct loop_call){ .fn = c->ready, .arg = c->arg };
	in->thread = (struct host_thread){ .kind = HOST_THREAD_FILE,
					   .name = "stdin",
					   .run = file_inlet_run,
					   .failed = inlet_thread_failed,
					   .arg = in };
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->taken, NULL);
	*out = in;
	return 0;
}

void file_inlet_start(struct file_inlet *in)
{
	in->started = true;
	if (host_thread_start(in->c.host, &in->thread))
		inlet_thread_failed(in);
}

ssize_t file_inlet_read(struct file_inlet *in, void *buf, size_t len)
{
	ssize_t ret;

	pthread_mutex_lock(&in->lock);
	if (len > in->len - in->at)
		len = in->len - in->at;
	memcpy(buf, in->buf + in->at, len);
	in->at += len;
	ret = len ? (ssize_t)len : in->eof ? 0 : -EAGAIN;
	if (in->at == in->len)
		pthread_cond_signal(&in->taken);
	pthread_mutex_unlock(&in->lock);
	return ret;
}

void file_inlet_destroy(struct file_inlet *in)
{
	bool left;

	if (!in)
		return;
	pthread_mutex_lock(&in->lock);
	in->ending = true;
	left = in->left = in->reading;
	pthread_cond_signal(&in->taken);
	pthread_mutex_unlock(&in->lock);
	if (left)
		return;
	if (in->started)
		host_thread_stop(in->c.host, &in->thread);
	file_inlet_free(in);
}
