#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Descriptors that vmm run takes over from the process that starts it: sockets that listen already, the control
# socket from systemd, too, and a tap. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
[ -w /dev/kvm ] || tap_skip descriptors '/dev/kvm is missing'
guest_begin descriptors
# A plain user's sockets lie in $work, root's in /run: a socket that is put there has a name for vmm's clients.
[ "$EUID" = 0 ] && dir=/run/umbra || dir=$work/umbra
given=$guest-given
mkdir -p "$dir" && chmod 700 "$dir"
trap 'guest_clean_up; rm -f "$dir/$given.sock"' EXIT

# A starter in Perl, as libvirt and systemd are: it listens at PATH and passes that as descriptor FD.
# start.pl KIND FD PATH COMMAND...; KIND: listen, connect (no listener), dgram, systemd:NAME:NAME..., or a tap,
# of which FD is another descriptor: tap:FLAGS
cat >start.pl <<'END'
use Socket; use POSIX ();
my ($kind, $fd, $path, @command) = @ARGV;
unlink $path;
socket(my $s, AF_UNIX, $kind eq "dgram" ? SOCK_DGRAM : SOCK_STREAM, 0) or die "socket: $!";
bind($s, sockaddr_un($path)) or die "bind $path: $!";
listen($s, 8) or die "listen: $!" if $kind =~ /^(listen|systemd)/;
if ($kind =~ /^tap:(\w+)/) {
	open my $t, "+<", "/dev/net/tun" or die "tun: $!";
	my $request = pack "Z16 S x22", "", hex $1;
	hex $1 and (ioctl $t, 0x400454ca, $request or die "TUNSETIFF: $!");
	POSIX::dup2(fileno($t), $fd);
	listen($s, 8) or die "listen: $!";
	POSIX::dup2(fileno($s), 60);
} elsif ($kind =~ s/^systemd://) {
	my @names = split /:/, $kind;
	# Of several, this is the last one.
	$fd = 2 + @names;
	$ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = @names; $ENV{LISTEN_FDNAMES} = $kind;
	# fileno($s) may lie among them.
	my $high = POSIX::dup2(fileno($s), 50);
	POSIX::dup2($high, $_) for 3 .. $fd;
} else {
	POSIX::dup2(fileno($s), $fd);
}
if ($kind eq "listen-live" and my $child = fork) {
	waitpid $child, 0;
	exit 7;
}
exec @command or die "exec: $!";
END

own_net=(env)
# start KIND FD OPTION...: a guest whose starter passes a descriptor; as guest_start.
start()
{
	local kind=$1 fd=$2

	shift 2
	"${own_net[@]}" perl start.pl "$kind" "$fd" "$dir/$given.sock" "$vmm" run --kernel "$kernel" --memory 128M --paused "$@" \
		</dev/null >out 2>err &
	run=$!
	wait_for 10 given_answers_or_has_ended
}

given_answers_or_has_ended()
{
	"$vmm" info "$given" || process_ended "$run"
}

answers() # NAME...
{
	local who

	for who; do
		"$vmm" info "$who" >said 2>&1 || { cat said err; return 1; }
	done
}

ends()
{
	kill "$run" && wait_for 5 process_ended "$run"
	run=
}

# A client after the other, while others have its own socket.
two_sockets()
{
	start listen 9 --name "$guest" --control fd=9 "$@" && answers "$given" "$guest" "$given" "$given" || return
	"$vmm" info --json "$given" | grep -q "\"name\": *\"$guest\"" || return
	ends || return
	[ -S "$dir/$given.sock" ] && [ ! -e "$dir/$guest.sock" ]
}
result 'a control socket that listens already serves beside the own one, and stays' two_sockets
result 'it does without confinement, too' two_sockets --confine off

# Who has called listen() last is for clients the process that they end and wait for: not the starter, which
# lives on, as libvirtd and a service manager do. What it has bound is not the guest's to remove either.
its_starter_lives() # COMMAND...
{
	start listen-live 9 --name "$guest" --control fd=9 && answers "$given" || return
	main=$("$vmm" ps --json | jq -r --arg g "$guest" '.[] | select(.name == $g).pid' | sort -u)
	[ "$main" != "$run" ] && [ "$(cat "/proc/$main/comm")" = vmm ] || { echo "vmm ps tells of $main"; return 1; }
	timeout 20 "$vmm" "$@" "$given" || return
	wait_for 5 process_ended "$run"
	wait "$run"
	[ $? = 7 ] && run= && [ -S "$dir/$given.sock" ]
}
result 'vmm stop ends the guest, and neither its starter nor that one'"'"'s socket' its_starter_lives stop --force --timeout 0
result 'and so does vmm kill' its_starter_lives kill

without_a_name()
{
	start listen 700 --no-control --control fd=700 && answers "$given" || return
	"$vmm" info --json "$given" | grep -q '"name": *"guest"' || return
	[ -z "$(find "$dir" -name 'guest[0-9]*.sock' -newer start.pl)" ] && ends
}
result 'it may be the only one' without_a_name

# The supervisor and the helper process of the network have none of it.
nobody_else_has_it()
{
	local p inode

	start listen 9 --name "$guest" --control fd=9 --net user || return
	inode=$(grep " $dir/$given.sock\$" /proc/net/unix | awk 'NR == 1 { print $7 }')
	main=$(child "$run" vmm)
	[ -n "$inode" ] && [ -n "$main" ] || return
	for p in $run $(cat "/proc/$main/task/"*/children); do
		if find "/proc/$p/fd" -lname "socket:\[$inode\]" | grep -q .; then
			echo "process $p has it: $(cat "/proc/$p/comm")"
			return 1
		fi
	done
	find "/proc/$main/fd" -lname "socket:\[$inode\]" | grep -q . && ends
}
result 'nothing but the VMM has it' nobody_else_has_it

by_systemd() # NAMES
{
	start "systemd:$1" 0 --name "$guest" --control activation && answers "$given" "$guest" && ends
}
result 'systemd passes it' by_systemd x
result 'among others it has a name' by_systemd web:other:control

# refused TEXT CODE KIND FD OPTION...
refused()
{
	local text=$1 code=$2 ret

	shift 2
	start "$@" --name "$guest"
	process_ended "$run" || kill "$run"
	wait "$run"
	ret=$?
	run=
	[ "$ret" = "$code" ] && grep -qF -- "$text" err && return
	echo "code $ret, '$(cat err)'; expected $code, '$text'"
	return 1
}
result 'one that does not listen is refused' \
	refused '--control: descriptor 9: it does not listen' 1 connect 9 --control fd=9
result 'one of datagrams is refused' refused 'it is no stream socket' 1 dgram 9 --control fd=9
result 'one that is not open is refused' \
	refused '--control: descriptor 8 is not open' 1 listen 9 --control fd=8
result 'a file is refused' refused 'it is no socket' 1 listen 9 --control fd=7 7<err
result 'standard output is refused' refused 'fd wants a descriptor from 3' 2 listen 9 --control fd=1
result 'another word is refused' refused 'want fd=N or activation' 2 listen 9 --control pty
result 'without systemd there is none of it' \
	refused 'systemd has passed no socket to this process' 2 listen 3 --control activation
result 'among several one must have the name' \
	refused 'of the 2 sockets that systemd has passed none is called control' 2 systemd:a:b 0 --control activation

# The starter as libvirt is: it has connected, and at the end of that reads what stderr, the file err, has to say.
cat >client.pl <<'END'
use Socket; use POSIX ();
my ($path, @command) = @ARGV;
unlink $path;
socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
bind($s, sockaddr_un($path)) or die "bind $path: $!";
listen($s, 8) or die "listen: $!";
socket(my $c, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
connect($c, sockaddr_un($path)) or die "connect: $!";
my $pid = fork // die "fork: $!";
if (!$pid) {
	POSIX::dup2(fileno($s), 9);
	open STDERR, ">", "err";
	exec @command or die "exec: $!";
}
close $s;
1 while sysread $c, my $said, 4096;
open my $err, "<", "err" or die "err: $!";
print <$err>;
waitpid $pid, 0;
exit $? >> 8;
END

# says_why TEXT OPTION...: a start that fails; its line is there before the control socket ends.
says_why()
{
	local text=$1 ret=0

	shift
	timeout 20 perl client.pl "$dir/$given.sock" "$vmm" run --memory 128M --no-control --control fd=9 "$@" \
		</dev/null >said || ret=$?
	[ $ret = 1 ] && grep -qF -- "$text" said && return
	echo "code $ret; at the end of the socket '$(cat said)', later '$(cat err)'"
	return 1
}

says_why_as_ever()
{
	local mode

	head -c 100000 /dev/zero >no-kernel
	truncate -s 1M disk
	for mode in managed on off; do
		says_why 'no-kernel: not a kernel' --kernel no-kernel --paused --confine $mode &&
			says_why 'no-kernel: not a kernel' --kernel no-kernel --disk disk --confine $mode &&
			says_why '/nonexistent: cannot open' --kernel "$kernel" --disk /nonexistent --confine $mode || return
	done
}
result 'who reads stderr when the control socket ends sees why a start has failed' says_why_as_ever

# The console's socket is open to clients, and QMP calls it as the option does.
console_by_descriptor()
{
	start listen 9 --name "$guest" --console socket-fd=9,id=charserial0 --port p=pty
	wait_for 10 guest_answers_or_has_ended
	info_tells "unix:$dir/$given.sock,server=on" || return
	ends && [ -S "$dir/$given.sock" ]
}
result 'a console on a socket that listens already' console_by_descriptor
result 'a port on what does not listen is refused' \
	refused 'port p: descriptor 9: it does not listen' 1 connect 9 --port p=socket-fd=9

# A tap, without a trace on this host: in a network namespace of its own. IFF_TAP 2, IFF_NO_PI 1000, IFF_VNET_HDR 4000.
own_net=(unshare -n)
if ! "${own_net[@]}" perl start.pl tap:5002 9 "$dir/$given.sock" true 2>/dev/null; then
	for name in taken refused; do verdict 0 "a tap by descriptor is $name # SKIP this host makes no tap"; done
	echo "1..$n"
	exit
fi
tap_by_descriptor()
{
	start tap:5002 9 --name "$guest" --control fd=60 --net tap-fd=9,mac=52:55:00:00:00:01,id=net0,slot=7 &&
		answers "$given" && ends
}
result 'a tap by descriptor is taken' tap_by_descriptor
taps_refused()
{
	refused 'it is a tun, which has packets' 1 tap:5001 9 --net tap-fd=9 &&
		refused 'want IFF_NO_PI | IFF_VNET_HDR' 1 tap:1002 9 --net tap-fd=9 &&
		refused 'it is no tap, or one without an interface' 1 tap:0 9 --net tap-fd=9 &&
		refused 'it is no tap' 1 tap:5002 9 --net tap-fd=60
}
result 'a tap by descriptor is refused if it is of another kind' taps_refused
echo "1..$n"
