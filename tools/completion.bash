# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2046 # lists of words without spaces
# Completion of vmm in bash: source this file, or install it as completions/vmm of bash-completion
# (`make install` does).
#
# What there is to complete is read from `vmm help` and `vmm COMMAND --help`, which take a
# millisecond, so that it is never older than the command. Of an option's value,
# "FILE[,ro][,aio=io_uring|threads]", words in small letters are offered as they are and FILE, PATH
# and DIR by the names of files. Names of guests are those of their sockets: no guest is asked.

# Names of guests that run, or once ran and were killed.
_vmm_guests()
{
	local dir socket

	if [ "$EUID" = 0 ]; then
		dir=/run/umbra
	elif [[ ${XDG_RUNTIME_DIR-} == /* ]]; then
		dir=$XDG_RUNTIME_DIR/umbra
	else
		dir=/tmp/umbra-$EUID
	fi
	for socket in "$dir"/*.sock; do
		[ -S "$socket" ] || continue
		socket=${socket##*/}
		echo "${socket%.sock}"
	done
	# What is kept of those that have ended is for these two.
	[[ ${words[1]-} == @(logs|wait) ]] || return 0
	for socket in "$dir"/ended/*.end; do
		[ -f "$socket" ] || continue
		socket=${socket##*/}
		echo "${socket%.end}"
	done
}

# _vmm_files PREFIX BEGUN [-d]: files below what is begun, each behind PREFIX; of directories '/'.
_vmm_files()
{
	local name

	while IFS= read -r name; do
		[ ! -d "$name" ] || { name+=/; compopt -o nospace 2>/dev/null; }
		candidates+=("$1$name")
	done < <(compgen "${3:--f}" -- "$2")
}

# _vmm_words PREFIX BEGUN WORD...: those that begin so.
_vmm_words()
{
	local prefix=$1 begun=$2 word

	shift 2
	for word; do
		[[ $word == "$begun"* ]] || continue
		[[ $word != *= && $word != *: ]] || compopt -o nospace 2>/dev/null
		candidates+=("$prefix$word")
	done
}

# _vmm_part PREFIX BEGUN FORM: one part of a value, "stdio|pty|socket=PATH", "DIR", "N".
_vmm_part()
{
	local prefix=$1 begun=$2 choice choices

	IFS='|' read -ra choices <<<"$3"
	for choice in "${choices[@]}"; do
		case $choice in
		FILE* | KERNEL* | PATH* | SOCKET* | VMLINUZ* | *.ko) _vmm_files "$prefix" "$begun" ;;
		DIR*) _vmm_files "$prefix" "$begun" -d ;;
		GUEST*) _vmm_words "$prefix" "$begun" $(_vmm_guests) ;;
		[A-Z]*=*) # A name that is free to choose, then one of the choices
			[[ $begun != *=* ]] || _vmm_part "$prefix${begun%%=*}=" "${begun#*=}" "${3#*=}"
			return
			;;
		[A-Z]*) ;;
		*=*)
			if [[ $begun == "${choice%%=*}="* ]]; then
				_vmm_part "$prefix${choice%%=*}=" "${begun#*=}" "${choice#*=}"
			else
				_vmm_words "$prefix" "$begun" "${choice%%=*}="
			fi
			;;
		*) _vmm_words "$prefix" "$begun" "$choice" ;;
		esac
	done
}

# _vmm_value PREFIX BEGUN FORM: all of a value, "FILE[,ro][,serial=S]".
_vmm_value()
{
	local first=${3%%\[,*} rest part begun

	# SESSION[/INSTANCE]:FILE.ko: what counts is the file.
	if [[ $first == *:FILE* ]]; then
		[[ $2 != *:* ]] || _vmm_files "$1${2%%:*}:" "${2#*:}"
		return
	fi
	if [[ $2 != *,* ]]; then
		_vmm_part "$1" "$2" "$first"
		return
	fi
	rest=${3#"$first"}
	while [[ $rest == *\[,* ]]; do
		rest=${rest#*\[,}
		part=${rest%%\[,*}
		part=${part%%\]*}
		part=${part/\[=/=}
		begun=${2##*,}
		if [[ $part == *=* && $begun == "${part%%=*}="* ]]; then
			_vmm_part "$1${2%,*},${part%%=*}=" "${begun#*=}" "${part#*=}"
		elif [[ $part == *=* ]]; then
			_vmm_words "$1${2%,*}," "$begun" "${part%%=*}="
		else
			_vmm_words "$1${2%,*}," "$begun" "$part"
		fi
	done
}

# The forms that the help gives for an option, one per line; status 1: it has no value.
_vmm_forms()
{
	local line found=1 pattern="^ +(-[a-zA-Z], )?$1( ([^ ]+))?( |$)"

	[[ $1 != -? ]] || pattern="^ +$1, --[a-z-]+( ([^ ]+))()( |$)"
	while IFS= read -r line; do
		[[ $line =~ $pattern ]] || continue
		[[ $1 != -? ]] || BASH_REMATCH[3]=${BASH_REMATCH[2]}
		# Two spaces stand before an explanation, one before a value.
		[ -n "${BASH_REMATCH[3]}" ] || continue
		echo "${BASH_REMATCH[3]}"
		found=0
	done <<<"$2"
	return "$found"
}

# The usage lines of a help, one for each way of use, without options and their values.
_vmm_usages()
{
	local line usage=''

	while IFS= read -r line; do
		[[ $line == Usage:* || $line == ' '* ]] || break
		line=${line#Usage:}
		if [[ $line =~ ^\ +vmm\  ]]; then
			echo "$usage"
			usage=
		fi
		usage+=" $line"
	done <<<"$1"
	echo "$usage"
}

# What stands at places without an option: words of the usage lines, else what they name.
_vmm_positional()
{
	local begun=$1 command=$2 help=$3 index=$4 first=$5 line word words places skip

	while IFS= read -r line; do
		while [[ $line =~ \[-[^][]*\](\.\.\.)? ]]; do
			line=${line/"${BASH_REMATCH[0]}"/}
		done
		read -ra words <<<"$line"
		[ "${words[*]:0:2}" = "vmm $command" ] || continue
		places=() skip=
		for word in "${words[@]:2}"; do
			if [[ $word == -* ]]; then
				skip=1
			elif [ -n "$skip" ]; then
				skip=
			elif [[ $word != '[OPTION'* ]]; then
				word=${word#[}
				word=${word%...}
				places+=("${word%]}")
			fi
		done
		word=${places[index]-}
		# A second word is only for those that follow the first as it was typed.
		if [ "$index" -gt 0 ] && [[ ${places[0]-} == [a-z]* && ${places[0]} != "$first" ]]; then
			continue
		fi
		case $word in
		'') ;;
		[a-z]*) [[ " ${candidates[*]-} " == *" $word "* ]] || _vmm_words '' "$begun" "$word" ;;
		*:FILE*) _vmm_value '' "$begun" "$word" ;;
		GUEST* | NAME*) _vmm_part '' "$begun" GUEST ;;
		FILE* | KERNEL* | *.ko* | DIR*) _vmm_part '' "$begun" "$word" ;;
		esac
	done < <(_vmm_usages "$help")
}

_vmm()
{
	local line=${COMP_LINE:0:COMP_POINT} vmm=${COMP_WORDS[0]/#\~/$HOME}
	local token=${line##*[[:space:]]} words before help forms='' form option begun i
	local index=0 first='' candidates=()

	COMPREPLY=()
	read -ra words <<<"${line%"$token"}"
	if [ "${#words[@]}" = 1 ]; then
		_vmm_words '' "$token" help --version --help \
			$("$vmm" help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')
	elif [ "${words[1]}" = help ]; then
		[ "${#words[@]}" -gt 2 ] || _vmm_words '' "$token" \
			$("$vmm" help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')
	else
		help=$("$vmm" "${words[1]}" --help 2>/dev/null)
		before=${words[${#words[@]} - 1]}
		# Words without dash so far, without values.
		for ((i = 2; i < ${#words[@]}; i++)); do
			if [[ ${words[i]} == -* ]]; then
				[[ ${words[i]} == *=* ]] || ! _vmm_forms "${words[i]}" "$help" >/dev/null || i=$((i + 1))
			else
				[ "$index" != 0 ] || first=${words[i]}
				index=$((index + 1))
			fi
		done
		if [[ $token == --*=* ]]; then
			option=${token%%=*} begun=${token#*=}
			forms=$(_vmm_forms "$option" "$help") && option+='='
		elif [[ $before == -* && $before != *=* ]] && forms=$(_vmm_forms "$before" "$help"); then
			option='' begun=$token
		elif [[ $token == -* ]]; then
			_vmm_words '' "$token" $(sed -n \
				's/^ \{1,\}\(-[a-zA-Z], \)\{0,1\}\(--[a-z][a-z-]*\).*/\2/p' <<<"$help" | sort -u)
		else
			_vmm_positional "$token" "${words[1]}" "$help" "$index" "$first"
		fi
		while IFS= read -r form; do
			case $before in
			-g | --guest) [[ $form != NAME ]] || form=GUEST ;;
			esac
			[ -z "$form" ] || _vmm_value "$option" "$begun" "$form"
		done <<<"$forms"
	fi
	# Bash replaces only what follows the last of its word breaks.
	begun=$token
	while [ -n "$begun" ] && [[ $COMP_WORDBREAKS != *"${begun: -1}"* ]]; do
		begun=${begun%?}
	done
	COMPREPLY=("${candidates[@]#"$begun"}")
}

complete -F _vmm vmm
