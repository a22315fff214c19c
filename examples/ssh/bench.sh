#!/usr/bin/env bash
# Compares this library with what else deploys over SSH, on this machine: HOSTS real
# sshd on loopback, a revision of 1,000 files of 4 KiB, five hooks a host, batches of 10.
#
#   examples/ssh/bench.sh [ROUNDS]
#
# Needs Go, sshd, ssh and rsync; Ansible is measured where it is installed. Each round
# does all of them once, one after another, so that what else the machine does hits all
# alike; the table has medians. Logging in is measured alone, too: all pay for it, and it
# is the larger part of a second deployment, unless the same program goes on with the
# connections that it has. Nothing is touched but a directory of its own, in DIR (default:
# /dev/shm, since a disk would be what is measured).
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-3} hosts=${HOSTS:-20} batch=10
work=$(mktemp -d "${DIR:-/dev/shm}/cutover-bench-XXXXXX")
chmod 755 "$work"
daemons=()
cleanup() {
	for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT

# --- the revision, and the next one with 1 % changed
app=$work/app next=$work/next
mkdir -p "$app/files" "$app/hooks" "$work/home"
head -c 3072000 /dev/urandom | base64 -w 4096 | split -l 1 -a 3 -d - "$app/files/file-"
hooks=(before after1 after2 start validate)
for h in "${hooks[@]}"; do
	printf '#!/bin/sh\nexec true\n' >"$app/hooks/$h.sh"
	chmod 755 "$app/hooks/$h.sh"
done
cat >"$app/appspec.yml" <<-SPEC
	version: 0.0
	os: linux
	files:
	  - source: files
	    destination: /srv/app
	hooks:
	  BeforeInstall: [{location: hooks/before.sh}]
	  AfterInstall: [{location: hooks/after1.sh}, {location: hooks/after2.sh}]
	  ApplicationStart: [{location: hooks/start.sh}]
	  ValidateService: [{location: hooks/validate.sh}]
SPEC
cp -a "$app" "$next"
sleep 1 # rsync looks at times
for i in 007 104 201 298 395 492 589 686 783 880; do head -c 3072 /dev/urandom | base64 -w 4096 >"$next/files/file-$i"; done
tar -czf "$work/app.tgz" -C "$app" .

# --- the hosts: sixteen addresses for each daemon. Their home is empty, so that what
# the shell of this machine's user does at each login is not what is measured.
ssh-keygen -q -t ed25519 -N '' -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
port=$((20000 + RANDOM % 20000))
names=()
[ "$(id -u)" = 0 ] && mkdir -p /run/sshd
for ((i = 1; i <= hosts; i++)); do
	names+=("127.0.1.$i")
	conf=$work/sshd-$(((i - 1) / 16))
	[ -f "$conf" ] || printf '%s\n' "Port $port" "HostKey $work/host" "AuthorizedKeysFile $work/key.pub" "PidFile none" \
		"StrictModes no" "UsePAM no" "PermitRootLogin prohibit-password" "MaxStartups 100:30:200" "LogLevel ERROR" "SetEnv HOME=$work/home" "Subsystem sftp internal-sftp" >"$conf"
	echo "ListenAddress 127.0.1.$i" >>"$conf"
	echo "[127.0.1.$i]:$port $(cut -d' ' -f1,2 "$work/host.pub")" >>"$work/known"
	mkdir -p "$work/hosts/127.0.1.$i"
done
sshd=$(command -v sshd || echo /usr/sbin/sshd)
for conf in "$work"/sshd-*; do
	"$sshd" -D -f "$conf" &
	daemons+=($!)
done
sleep 1

ssh_options=(-F none -p "$port" -i "$work/key" -o "UserKnownHostsFile=$work/known" -o BatchMode=yes)
go build -trimpath -ldflags '-s -w' -o "$work/cutover" ./examples/ssh

# --- what is compared
ours() { # REVISION [FLAGS...]: deploys to all hosts, half at a time
	"$work/cutover" -config /dev/null -user "$(id -un)" -key "$work/key" -known-hosts "$work/known" -journal "$work/journal" \
		-state "$work/hosts/{host}/state" -root "$work/hosts/{host}/root" -strategy half -revision "$1" "${@:2}" "${targets[@]}" >"$work/out" 2>&1 ||
		{ cat "$work/out"; exit 1; }
}
loop() { # one connection and one command for each host
	local i h
	for ((i = 0; i < hosts; i += batch)); do
		for h in "${names[@]:i:batch}"; do
			ssh "${ssh_options[@]}" "$h" "mkdir -p $work/hosts/$h/loop && cd $work/hosts/$h/loop && tar -xzf - && for h in ${hooks[*]}; do hooks/\$h.sh || exit 1; done" <"$work/app.tgz" &
		done
		wait $(jobs -p | grep -vxF "$(printf '%s\n' "${daemons[@]}")")
	done
}
login() { # nothing but logging in
	local i h
	for ((i = 0; i < hosts; i += batch)); do
		for h in "${names[@]:i:batch}"; do
			ssh "${ssh_options[@]}" "$h" true </dev/null &
		done
		wait $(jobs -p | grep -vxF "$(printf '%s\n' "${daemons[@]}")")
	done
}
ansible_play() {
	ANSIBLE_PIPELINING=True ANSIBLE_CONFIG="$work/ansible.cfg" ansible-playbook -i "$work/inventory" -f "$batch" "$work/play.yml" >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
}
: >"$work/ansible.cfg"
for h in "${names[@]}"; do
	echo "$h ansible_port=$port ansible_ssh_private_key_file=$work/key ansible_ssh_common_args='-F none -o UserKnownHostsFile=$work/known -o ControlMaster=auto -o ControlPersist=60s' ansible_python_interpreter=/usr/bin/python3 base=$work/hosts/$h/ansible"
done >"$work/inventory"
{
	printf -- '- hosts: all\n  serial: %d\n  gather_facts: false\n  tasks:\n' "$batch"
	printf '    - file: {path: "{{base}}", state: directory}\n    - unarchive: {src: %s, dest: "{{base}}"}\n' "$work/app.tgz"
	for h in "${hooks[@]}"; do printf '    - command: "{{base}}/hooks/%s.sh"\n' "$h"; done
} >"$work/play.yml"
sync_all() { # REVISION: rsync alone, without hooks
	local i h
	for ((i = 0; i < hosts; i += batch)); do
		for h in "${names[@]:i:batch}"; do
			rsync -az --delete -e "ssh ${ssh_options[*]}" "$1/" "$h:$work/hosts/$h/rsync/" &
		done
		wait $(jobs -p | grep -vxF "$(printf '%s\n' "${daemons[@]}")")
	done
}

# --- the rounds
targets=()
for h in "${names[@]}"; do targets+=("$h:$port"); done
timed() { # NAME COMMAND...
	local name=$1 from to
	shift
	from=$(date +%s%N)
	"$@"
	to=$(date +%s%N)
	took "$name" "$from" "$to"
}
took() { # NAME FROM TO, in nanoseconds
	echo $((($3 - $2) / 1000000)) >>"$work/times-$1"
	echo "  $1: $((($3 - $2) / 1000000)) ms" >&2
}
kept() { # a program that goes on has its connections: from the end of its first deployment to that of its second
	local ends
	ours "$app" -json -revision "$next"
	mapfile -t ends < <(sed -nE 's/^\{"seq":[0-9]+,"time":"([^"]+)","kind":"finished".*/\1/p' "$work/out")
	took kept "$(date -d "${ends[0]}" +%s%N)" "$(date -d "${ends[1]}" +%s%N)"
}
clean() { # what was deployed, but for the agents' executables with KEEP
	local d
	for d in "$work"/hosts/*; do
		[ "${1:-}" = keep ] && find "$d" -maxdepth 3 -name .agents -type d -exec mv {} "$d/agents" \; 2>/dev/null || true
		rm -rf "$d"/{loop,ansible,rsync,root} && find "$d" -mindepth 1 -maxdepth 1 ! -name agents -exec rm -rf {} +
		if [ -d "$d/agents" ]; then mkdir -p -m 711 "$d/state" && for_each_state "$d"; fi
	done
	rm -rf "$work/journal"
}
for_each_state() { mv "$1/agents" "$1/state/.agents"; }
for ((n = 1; n <= rounds; n++)); do
	echo "round $n of $rounds" >&2
	clean
	timed cold ours "$app"
	clean keep
	timed first ours "$app"
	timed second ours "$next"
	clean keep
	kept
	timed login login
	timed loop loop
	timed rsync sync_all "$app"
	timed rsync-second sync_all "$next"
	if command -v ansible-playbook >/dev/null; then timed ansible ansible_play; fi
done

# --- bytes to one host and back, with all that TCP and SSH add
lo=/sys/class/net/lo/statistics/tx_bytes
bytes() {
	local from
	from=$(cat $lo)
	"$@"
	echo $(($(cat $lo) - from))
}
clean keep
all=$hosts
names=("${names[0]}") targets=("${targets[0]}") hosts=1
one() { "$work/cutover" -config /dev/null -user "$(id -un)" -key "$work/key" -known-hosts "$work/known" -journal "$work/journal" \
	-state "$work/hosts/{host}/state" -root "$work/hosts/{host}/root" -strategy all -revision "$1" "${targets[@]}" >/dev/null; }
b_first=$(bytes one "$app") b_second=$(bytes one "$next")
r_first=$(bytes sync_all "$app") r_second=$(bytes sync_all "$next")

median() { sort -n "$work/times-$1" | awk '{a[NR]=$1} END {print a[int((NR+1)/2)]}'; }
base=$(median first)
echo
printf '%-46s %8s %8s\n' "$all hosts, batches of $batch" "ms" "ratio"
row() { [ -f "$work/times-$2" ] && printf '%-46s %8d %8.2f\n' "$1" "$(median "$2")" "$(awk "BEGIN {print $(median "$2") / $base}")" || true; }
row "cutover, the executable is on the hosts" first
row "cutover, the executable is sent first" cold
row "cutover, second revision with 1 % changed" second
row "cutover, the same by a program that goes on" kept
row "ssh, logging in and nothing else" login
row "ssh loop, one connection and one command" loop
row "rsync -az alone, no hooks" rsync
row "rsync -az alone, 1 % changed" rsync-second
row "ansible, pipelining" ansible
printf '\n%-46s %10s %10s\n' "bytes on the wire, one host" first second
printf '%-46s %10d %10d\n' "cutover, hooks included" "$b_first" "$b_second"
printf '%-46s %10d %10d\n' "rsync -az" "$r_first" "$r_second"
