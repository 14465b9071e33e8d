// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the vector table of MSI-X: an eventfd that is attached to a vector raises it unless it is
 * masked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/eventfd.h>

#include "devices/msix.h"
#include "tests/unit/devices/fake_host.h"

static void test_eventfd_as_vector(void **state)
{
	static struct fake_host f;
	struct msix *x;
	u32 on = 0, masked = 1, pending = 0;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	fake_host_init(&f);
	assert_int_equal(msix_create(&x, &f.host, 2), 0);
	assert_int_equal(msix_attach(x, 1, fd), 0);
	assert_int_equal(f.bound[0], 0);
	msix_control(x, MSIX_CTRL_ENABLE);
	msix_table_io(x, 16 + 12, &on, 4, true);
	assert_int_equal(f.bound[0], fd);
	msix_control(x, MSIX_CTRL_ENABLE | MSIX_CTRL_MASK);
	assert_int_equal(f.bound[0], 0);
	msix_control(x, MSIX_CTRL_ENABLE);
	assert_int_equal(f.bound[0], fd);
	msix_table_io(x, 16 + 12, &masked, 4, true);
	assert_int_equal(f.bound[0], 0);
	/* What is signalled meanwhile is pending. */
	msix_pba_io(x, 0, &pending, 4, false);
	assert_int_equal(pending, 0);
	eventfd_write(fd, 1);
	msix_pba_io(x, 0, &pending, 4, false);
	assert_int_equal(pending, 2);
	msix_table_io(x, 16 + 12, &on, 4, true);
	assert_int_equal(f.bound[0], fd);
	assert_int_equal(msix_attach(x, MSIX_NO_VECTOR, fd), 0);
	assert_int_equal(f.bound[0], 0);
	msix_destroy(x);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eventfd_as_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
