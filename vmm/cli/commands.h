/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declares the commands of `vmm`: argv[0] is the command's own name, the result is the exit code.
 */
#ifndef UMBRA_VMM_CLI_COMMANDS_H
#define UMBRA_VMM_CLI_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_reset(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_nmi(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_prepare(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_driver(int argc, char **argv);
int cmd_session(int argc, char **argv);
int cmd_disk(int argc, char **argv);
int cmd_memory(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_dial_helper(int argc, char **argv);
int cmd_remove_helper(int argc, char **argv);
int cmd_emulator_probe(int argc, char **argv);

#endif
