/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells whether this build has a sanitizer, which makes system calls and threads of its own, in the
 * words of gcc and of clang alike. Both are 0 or 1, for #if and for C.
 */
#ifndef UMBRA_BASE_SANITIZER_H
#define UMBRA_BASE_SANITIZER_H

#if defined(__has_feature)
#define SANITIZER_FEATURE(name) __has_feature(name)
#else
#define SANITIZER_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZER_FEATURE(address_sanitizer)
#define SANITIZER_ADDRESS 1
#else
#define SANITIZER_ADDRESS 0
#endif

#if defined(__SANITIZE_THREAD__) || SANITIZER_FEATURE(thread_sanitizer)
#define SANITIZER_THREAD 1
#else
#define SANITIZER_THREAD 0
#endif

#endif
