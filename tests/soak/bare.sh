#!/bin/sh
# The README's two commands on a bare machine: a minimal system of a suite (debootstrap --variant=minbase) that has nothing
# but a clone of what is committed here. As root, and in a second system as a user with sudo: the first command, a second
# start, an installation with a run from it, and the whole test suite. Everything is taken down afterwards.
#   tests/soak/bare.sh SUITE [root] [user]      bookworm, trixie; both by default. Needs root, debootstrap, 6 GB of disk
#   MIRROR=ADDRESS    where the packages come from; else from where this machine has its own
#   CACHE=FOLDER      keeps the minimal system and the packages for the next time
#   FIGURES=FILE      a line of JSON is added for each of the two
#   KEEP=FOLDER       what the commands said is left there
set -u
source=$(cd "$(dirname "$0")/../.." && pwd)

fail() {
    echo "bare: $*" >&2
    exit 1
}

# ---- the system ----

# The first address of this machine's sources that has Debian itself, not its security updates.
own_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' |
        sed -n 's/ \(Debian\|Ubuntu\)$//p' | head -n 1
}

make_minimal() { # the system's files into $system
    kept=${CACHE:+$CACHE/$suite.tar}
    if [ -n "$kept" ] && [ -f "$kept" ]; then
        tar -C "$system" -xf "$kept"
        return
    fi
    debootstrap --variant=minbase "$suite" "$system" "$mirror" >"$place/debootstrap.log" || {
        tail -n 5 "$place/debootstrap.log"
        fail "$suite could not be made from $mirror"
    }
    if [ -n "$kept" ]; then tar -C "$system" --one-file-system -cf "$kept.part" . && mv "$kept.part" "$kept"; fi
}

# How to reach the mirror; nothing else of this machine.
lend_network() {
    cp /etc/resolv.conf "$system/etc/resolv.conf"
    apt-config dump | grep -i '^Acquire::[a-z]*::Proxy' >"$system/etc/apt/apt.conf.d/90proxy"
    [ -n "${CACHE:-}" ] || return 0
    echo 'Binary::apt::APT::Keep-Downloaded-Packages "true"; APT::Keep-Downloaded-Packages "true";' \
        >"$system/etc/apt/apt.conf.d/90keep"
}

# In a namespace of its own, so that the mounts end with the last process that sees them.
mount_all() {
    mount -t proc proc "$system/proc" || fail "nothing can be mounted here"
    mount -t tmpfs -o mode=755 dev "$system/dev"
    for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "$system/dev/${device%:*}" c 1 "${device#*:}"; done
    mknod -m 666 "$system/dev/tty" c 5 0
    mkdir "$system/dev/pts" "$system/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$system/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$system/dev/shm"
    ln -s pts/ptmx "$system/dev/ptmx"
    ln -s /proc/self/fd "$system/dev/fd"
    ln -s fd/0 "$system/dev/stdin"
    ln -s fd/1 "$system/dev/stdout"
    ln -s fd/2 "$system/dev/stderr"
    [ -n "${CACHE:-}" ] || return 0
    mkdir -p "$CACHE/$suite-packages"
    mount --bind "$CACHE/$suite-packages" "$system/var/cache/apt/archives"
}

# Runs a command line in the clone, as whom it is for.
inside() {
    chroot "$system" env -i HOME="$home" USER="$account" TERM=xterm PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        setpriv --reuid "$account" --regid "$account" --init-groups sh -c "cd '$clone' && $1" </dev/null
}

# A user who may become root, as the installer of a Debian makes one.
add_user() {
    account=root home=/root clone=/
    inside 'apt-get -qq update && apt-get -qq install -y --no-install-recommends sudo' >"$place/sudo.log" 2>&1 || {
        tail -n 5 "$place/sudo.log"
        fail "sudo could not be installed"
    }
    inside "useradd --create-home --shell /bin/sh person"
    echo 'person ALL=(ALL) NOPASSWD: ALL' >"$system/etc/sudoers.d/person"
}

# ---- what is done there ----

# Each line of what a command says, after the nanoseconds since 1970.
stamped() {
    while IFS= read -r line; do printf '%s %s\n' "$(date +%s%N)" "$line"; done
}

logged() { # LOG COMMAND_LINE: the command's own exit status
    { inside "$2" 2>&1; echo "exit $?"; } | stamped >"$place/$1"
    if tail -n 1 "$place/$1" | grep -q ' exit 0$'; then return 0; fi
    tail -n 40 "$place/$1" | cut -d ' ' -f 2- >&2
    failed=1
    echo "bare: $suite, $who: $2 failed" >&2
    return 1
}

first_line() { sed -n "/^[0-9]* $2/{s/ .*//p;q;}" "$place/$1"; } # LOG PATTERN: when it was said
last_line() { sed -n "s/^\([0-9]*\) $2.*/\1/p" "$place/$1" | tail -n 1; }
seconds() { awk "BEGIN { printf \"%.1f\", (${2:-0} - ${1:-0}) / 1e9 }"; } # FROM TO

# The least of ten starts of the program by its words for them, in milliseconds: other work on the machine only adds to it.
least_start() {
    inside "for start in 1 2 3 4 5 6 7 8 9 10; do
        begun=\$(date +%s%N); $1 >/dev/null 2>&1 || exit 1; echo \$(((\$(date +%s%N) - begun) / 1000000)); done" | sort -n | head -n 1
}

first_command() {
    began=$(date +%s%N)
    logged first './studio tune emoji-gentle-start --steps 3' || return 1
    building=$(last_line first 'studio: building the program') built=$(last_line first '\[')
    set_up=$(seconds "$began" "$building") build=$(seconds "$building" "$built") first=$(seconds "$began" "$(last_line first exit)")
    echo "  ./studio tune emoji-gentle-start --steps 3: ${first} s, of it packages and configuring ${set_up} s, the build ${build} s"
}

second_start() {
    again=$(least_start './studio --version') alone=$(least_start 'build/alignprop --version')
    again=$((${again:-9999} - ${alone:-0}))
    echo "  a second start: $again ms before the program runs"
    [ "$again" -lt 300 ] || { failed=1; echo "bare: $suite, $who: that is too long" >&2; }
}

# Into the system as root, into the home folder else; run with the clone out of sight.
installed_run() {
    into='' program=/usr/local/bin/alignprop
    if [ "$account" != root ]; then into="meson configure build -Dprefix=$home/.local &&" program=$home/.local/bin/alignprop; fi
    logged install "$into ninja -C build && meson install -C build" || return 1
    mv "$system$clone" "$system$clone-away"
    elsewhere=$clone clone=$home
    logged installed "$program tune emoji-gentle-start --steps 1 --run $home/installed-run && test -s $home/installed-run/lora.safetensors &&
        test -s \$(dirname \$(dirname $program))/share/man/man1/alignprop.1 &&
        test -s \$(dirname \$(dirname $program))/share/bash-completion/completions/alignprop"
    result=$?
    clone=$elsewhere
    mv "$system$clone-away" "$system$clone"
    [ $result -eq 0 ] && echo "  installed into ${program%/bin/alignprop} and run from there"
}

# How many tests ended in one way, by meson's own count at the end.
ended() { sed -n "s/^[0-9]* $1: *\([0-9]*\) *$/\1/p" "$place/suite" | tail -n 1; }

whole_suite() {
    logged suite './studio test'
    result=$?
    suite_time=$(seconds "$(last_line suite '\[')" "$(last_line suite 'Full log written')")
    passed=$(ended Ok) skipped=$(ended Skipped) wrong=$(ended Fail) late=$(ended Timeout)
    echo "  ./studio test: ${passed:-0} passed, ${wrong:-?} failed, ${late:-?} timed out, ${skipped:-?} skipped, in ${suite_time} s"
    cut -d ' ' -f 2- "$place/suite" | grep '^studio: skipped' | sed 's/^/  /'
    named=$(cut -d ' ' -f 2- "$place/suite" | sed -n 's/^studio: skipped: //p' | tr ';' '\n' | sed 's/ (.*//' | tr ',' '\n' | grep -c .)
    [ "${skipped:-0}" -eq "$named" ] || { failed=1; echo "bare: ${skipped:-0} tests were skipped, $named say why" >&2; }
    return $result
}

version() { inside "$1" 2>/dev/null | sed -n '1s/[^0-9]*\([0-9][0-9.a-z]*\).*/\1/p'; }

say_figures() { # one line of JSON
    printf '{"date": "%s", "suite": "%s", "who": "%s", "commit": "%s", "processors": %s, "load_before": %s, "load_after": %s, ' \
        "$(date +%F)" "$suite" "$who" "$commit" "$(nproc)" "$load" "$(cut -d ' ' -f 1 /proc/loadavg)"
    printf '"gcc": "%s", "meson": "%s", "tmux": "%s", "packages_downloaded_before": %s, "packages_and_configuring_s": %s, "build_s": %s, ' \
        "$(version 'gcc -dumpfullversion')" "$(version 'meson --version')" "$(version 'tmux -V')" "$downloaded" "${set_up:-null}" "${build:-null}"
    printf '"first_command_s": %s, "second_start_ms": %s, "tests_s": %s, "passed": %s, "failed": %s, "timed_out": %s, "skipped": %s}\n' \
        "${first:-null}" "${again:-null}" "${suite_time:-null}" "${passed:-null}" "${wrong:-null}" "${late:-null}" "${skipped:-null}"
}

try_as() { # root or user
    who=$1 system=$place/$1 set_up='' build='' first='' again='' suite_time='' passed='' wrong='' late='' skipped=''
    echo "$suite, $who:"
    mkdir "$system"
    make_minimal
    lend_network
    mount_all
    downloaded=false
    if ls "$system/var/cache/apt/archives/"libcmocka-dev* >/dev/null 2>&1; then downloaded=true; fi
    if [ "$who" = user ]; then add_user; fi
    case $who in root) account=root home=/root ;; user) account=person home=/home/person ;; esac
    clone=$home/alignprop
    git clone --quiet --no-hardlinks "$source" "$system$clone" || fail "$source could not be cloned"
    commit=$(git -C "$system$clone" rev-parse --short HEAD)
    chroot "$system" chown -R "$account:$account" "$clone"
    load=$(cut -d ' ' -f 1 /proc/loadavg)
    if first_command; then
        second_start
        installed_run
        whole_suite
    fi
    if [ -n "${FIGURES:-}" ]; then say_figures >>"$FIGURES"; fi
}

# ---- inside the namespace, and around it ----

if [ "${1-}" = --within ]; then
    place=$2 mirror=$3 suite=$4 failed=0
    shift 4
    for who in "$@"; do try_as "$who"; done
    exit $failed
fi

suite=${1:-}
[ -n "$suite" ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2; exit 2; }
shift
[ $# -gt 0 ] || set -- root user
for who in "$@"; do
    case $who in root | user) ;; *) fail "\"$who\" is neither root nor user" ;; esac
done
[ "$(id -u)" -eq 0 ] || fail "this needs root"
for tool in debootstrap git unshare setpriv; do command -v "$tool" >/dev/null || fail "$tool is not installed"; done
mirror=${MIRROR:-$(own_mirror)}
[ -n "$mirror" ] || fail "this machine's sources of packages say nothing of Debian; give MIRROR"
if [ -n "${CACHE:-}" ]; then mkdir -p "$CACHE"; fi
place=$(mktemp -d "${TMPDIR:-/var/tmp}/bare-XXXXXX") || exit 1
child=
# Ends what runs within; its mounts are gone with it.
take_down() {
    trap - EXIT
    if [ -n "$child" ]; then kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; fi
    if grep -q "$place" /proc/mounts; then fail "still mounted: $(grep -c "$place" /proc/mounts) folders below $place"; fi
    if [ -n "${KEEP:-}" ]; then mkdir -p "$KEEP" && cp "$place"/* "$KEEP" 2>/dev/null; fi
    rm -rf --one-file-system "$place"
}
trap take_down EXIT
trap 'exit 1' INT TERM HUP
unshare --mount --pid --fork --kill-child sh "$0" --within "$place" "$mirror" "$suite" "$@" &
child=$!
wait "$child"
result=$?
child=
exit $result
