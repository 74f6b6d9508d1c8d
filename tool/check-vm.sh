#!/usr/bin/env bash
# Runs tests in a virtual machine with Debian's stock kernel, because the kernel of this machine may
# lack what they need (tunnel devices, traffic control, Open vSwitch): `./bootstrap check-vm` calls
# it, with the packages in place. The processor is emulated, so that nothing but QEMU is needed; no
# privilege either. The guest sees this machine's files as they are, and changes none of them.
#
# usage: tool/check-vm.sh [OPTIONS] [NAME...]
#   NAME...          the tests to run: meson's names, with * and ? (all of test/vm/tests if none)
#   --shell          instead of tests: the rest of the line is a command to run in the guest, in the
#                    current folder, or with nothing, an interactive shell
#   --build DIR      the build whose tests these are (build)
#   --jobs N         how many run at the same time (4)
#   --limit SECONDS  after this time the guest hangs, and is ended (300; none for a shell)
#   --kernel PACKAGE the kernel to use (what linux-image-amd64 names today)
#   --memory MIB     the guest's memory (1536)
#
# The last line is always of the form "N passed, N failed, N skipped"; the exit code is 1 when
# something failed. What each test said is in DIR/vm/out, what the kernel said in DIR/vm/console.log.
set -u

here=$PWD
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
build=$top/build jobs=4 limit= package= memory=1536 shell=0
patterns=() shell_command=()

wrong() {
    echo "check-vm: $*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --shell)
        shell=1
        shift
        shell_command=("$@")
        break
        ;;
    --build | --kernel)
        [ -n "${2:-}" ] || wrong "$1 needs a value"
        if [ "$1" = --kernel ]; then package=$2; else
            build=$(cd "$2" && pwd) || wrong "there is no folder $2"
        fi
        shift
        ;;
    --jobs | --limit | --memory)
        case ${2:-} in '' | *[!0-9]*) wrong "$1 needs a number" ;; esac
        case $1 in --jobs) jobs=$2 ;; --limit) limit=$2 ;; *) memory=$2 ;; esac
        shift
        ;;
    --only) ;; # the names that follow need no introduction
    -*) wrong "unknown option $1 (see the first lines of tool/check-vm.sh)" ;;
    *) patterns+=("$1") ;;
    esac
    shift
done

room=$build/vm out=$room/out
passed=0 failed=0 skipped=0 qemu=

line() {
    printf '%-28s %s\n' "$1" "$2${3:+: $3}"
}
finish() {
    trap - EXIT
    [ -z "$qemu" ] || kill "$qemu" 2>/dev/null
    [ "$shell" = 0 ] || exit "${1:-$((failed > 0))}"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
trap 'failed=$((failed + 1)); echo "check-vm: interrupted"; finish' INT TERM
trap finish EXIT
# skip REASON, fail REASON [FILE]: all of it.
skip() {
    skipped=$((skipped + 1))
    line "virtual machine" skipped "$1"
    finish
}
fail() {
    failed=$((failed + 1))
    line "virtual machine" FAILED "$1"
    [ -z "${2:-}" ] || tail -n 20 "$2" | tr -d '\r' | sed 's/^/    | /'
    finish
}

# The files of the kernel's package that the guest can use, in $kernel.
fetch_kernel() {
    local log=$room/kernel.log deb unwanted=() name
    [ -n "$package" ] || package=$(apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' | head -n 1)
    if [ -z "$package" ]; then # no lists of packages: what is there from an earlier time will do
        package=$(cd "$room" && find . -maxdepth 1 -name 'linux-image-*' -type d | sort -V | tail -n 1)
        package=${package#./}
    fi
    [ -n "$package" ] || skip "apt knows no kernel called linux-image-amd64 (apt-get update?)"
    kernel=$room/$package
    [ ! -e "$kernel/complete" ] || return 0

    rm -rf "$kernel" "$room/download"
    mkdir -p "$kernel" "$room/download" || fail "cannot make $kernel"
    if ! (cd "$room/download" && apt-get download -o APT::Sandbox::User=root "$package") \
        >"$log" 2>&1 </dev/null; then
        rm -rf "$kernel"
        skip "$package cannot be downloaded: $(grep -m 1 '^E:' "$log" | cut -c4-120)"
    fi
    deb=$(echo "$room"/download/*.deb)
    # Of the drivers, only those that are there without hardware: they are a tenth.
    for name in arcnet can dsa ethernet fddi hamradio ieee802154 phy usb wan wireless wwan; do
        unwanted+=(--exclude="*/kernel/drivers/net/$name")
    done
    if ! dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$kernel" --wildcards "${unwanted[@]}" \
        './boot/*' './lib/modules/*/modules.*' './lib/modules/*/kernel/lib' \
        './lib/modules/*/kernel/net' './lib/modules/*/kernel/crypto' './lib/modules/*/kernel/fs' \
        './lib/modules/*/kernel/arch' './lib/modules/*/kernel/drivers/net' \
        './lib/modules/*/kernel/drivers/virtio' './lib/modules/*/kernel/drivers/char/hw_random' \
        >>"$log" 2>&1; then
        fail "$package cannot be unpacked" "$log"
    fi
    rm -rf "$room/download"
    version=$(cd "$kernel/lib/modules" && echo *)
    depmod -b "$kernel" "$version" >>"$log" 2>&1 || fail "depmod does not like $package" "$log"
    touch "$kernel/complete"
}

# What the guest starts with: just enough to see this machine's files.
make_initrd() {
    local files=$room/initrd module
    version=$(cd "$kernel/lib/modules" && echo *)
    rm -rf "$files"
    mkdir -p "$files/bin" "$files/modules" || fail "cannot make $files"
    cp "$(command -v busybox)" "$files/bin/busybox"
    cp "$top/test/vm/init" "$files/init"
    chmod 755 "$files/init" "$files/bin/busybox"
    for module in virtio_pci virtio-rng 9p 9pnet_virtio overlay; do
        modprobe -d "$kernel" -S "$version" --show-depends "$module" ||
            fail "$package has no module $module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$room/initrd.modules"
    while read -r module; do
        cp "$module" "$files/modules/" || fail "$module is not there"
        echo "${module##*/}" >>"$files/modules/order"
    done <"$room/initrd.modules"
    (cd "$files" && find . | busybox cpio -o -H newc 2>/dev/null) >"$room/initrd.cpio" ||
        fail "cannot write $room/initrd.cpio"
    rm -rf "$files"
}

quote() {
    printf ' %q' "$@"
}

# The guest's work, as the shell script that its first process becomes.
write_start() {
    rm -rf "$out"
    mkdir -p "$out" || fail "cannot make $out"
    echo "$kernel/lib/modules/$version" >"$out/modules"
    {
        echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root"
        echo "unset HOSTNAME; ip link set lo up; cut -d ' ' -f 1 /proc/uptime >/run/vm/booted"
        if [ "$shell" = 0 ]; then
            echo "cd$(quote "$build")"
            echo "/usr/bin/python3 -B$(quote "$top/test/vm/guest.py" --jobs "$jobs" --slower 3 \
                --log /run/vm "$build" "${patterns[@]}") >/run/vm/said 2>&1 </dev/null"
        elif [ ${#shell_command[@]} -gt 0 ]; then
            echo "cd$(quote "$here")"
            echo "($(quote "${shell_command[@]}")) >/run/vm/said 2>&1 </dev/null"
        else
            echo "cd$(quote "$here"); export TERM=$(quote "${TERM:-linux}")"
            echo "busybox setsid busybox cttyhack bash </dev/ttyS1 >/dev/ttyS1 2>&1"
        fi
        # Shells that are called with one argument take it for a script.
        echo 'echo $? >/run/vm/status; sync; busybox poweroff -f'
    } >"$out/start"
}

# boot: the guest, from its start to its end; what it says appears as it says it.
boot() {
    local second=(-serial null) tail= stty_before=
    : >"$out/said"
    if [ "$shell" = 1 ] && [ ${#shell_command[@]} -eq 0 ]; then
        second=(-serial stdio)
        [ ! -t 0 ] || stty_before=$(stty -g)
    fi
    # The kernel's precautions against other users of its processor would only cost time here.
    set -- qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m "$memory" -nodefaults -no-reboot \
        -display none -serial "file:$room/console.log" "${second[@]}" \
        -kernel "$kernel/boot/vmlinuz-$version" -initrd "$room/initrd.cpio" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr apparmor=0 audit=0" \
        -device virtio-rng-pci \
        -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
        -virtfs "local,path=$out,mount_tag=results,security_model=none"
    if [ -n "$stty_before" ]; then
        stty raw -echo
        "$@" 2>"$room/qemu.log"
        stty "$stty_before"
        return
    fi
    "$@" >"$room/qemu.log" 2>&1 </dev/null &
    qemu=$!
    tail -n +1 -f --pid="$qemu" "$out/said" 2>/dev/null &
    tail=$!
    if [ -n "$limit" ]; then
        local end=$((SECONDS + limit))
        while kill -0 "$qemu" 2>/dev/null; do
            if [ "$SECONDS" -ge "$end" ]; then
                kill "$qemu"
                wait "$qemu"
                qemu=
                wait "$tail"
                return 1
            fi
            sleep 0.2
        done
    fi
    wait "$qemu"
    qemu=
    wait "$tail"
}

arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
[ "$arch" = amd64 ] || skip "only amd64 has a guest so far, and this machine is $arch"
for program in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static depmod:kmod apt-get:apt; do
    command -v "${program%:*}" >/dev/null ||
        skip "${program%:*} is not installed (Debian: apt-get install ${program#*:})"
done
mkdir -p "$room" || fail "cannot make $room"
exec 9>"$room/lock"
flock -n 9 || wrong "another guest of this build runs"

if [ "$shell" = 0 ]; then
    limit=${limit:-300}
    if [ ${#patterns[@]} -eq 0 ]; then
        mapfile -t patterns < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$top/test/vm/tests")
    fi
    [ -f "$build/meson-info/intro-tests.json" ] || fail "there is no build in $build"
    python3 -B "$top/test/vm/guest.py" --list "$build" "${patterns[@]}" >"$room/chosen" 2>&1 ||
        fail "these tests cannot be run" "$room/chosen"
fi
fetch_kernel
make_initrd
write_start

begin=$SECONDS
boot
ended=$?
seconds=$((SECONDS - begin))
if [ ! -s "$out/booted" ]; then
    cat "$room/qemu.log" "$room/console.log" >"$room/boot.log" 2>/dev/null
    fail "the guest did not start (after $seconds s)" "$room/boot.log"
fi
if [ "$ended" != 0 ] || [ ! -s "$out/status" ]; then
    tail -n 8 "$room/console.log" >"$room/last.log"
    find "$out" -name 'running-*' | sed 's/.*running-/had not ended: /' >>"$room/last.log"
    fail "the guest hung or died after $seconds s; what was said last:" "$room/last.log"
fi
[ "$shell" = 0 ] || finish "$(cat "$out/status")"
[ -s "$out/counts" ] || fail "the tests could not be run" "$out/said"
read -r passed failed skipped <"$out/counts"
line "virtual machine" "$([ "$failed" -gt 0 ] && echo FAILED || echo ok)" \
    "$version, booted in $(cut -d. -f1 "$out/booted") s, $seconds s in all"
finish
