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
#   --guests N       how many machines share the tests (one for each processor here, at most 4)
#   --jobs N         how many tests run at the same time in each (2)
#   --limit SECONDS  after this time the guests hang, and are ended (900; none for a shell)
#   --kernel PACKAGE the kernel to use (the one that linux-image-amd64 depends on)
#   --memory MIB     the memory of each (1024)
#
# The last line is always of the form "N passed, N failed, N skipped"; the exit code is 1 when
# something failed. What each test said is in DIR/vm/out, what kernels said in DIR/vm/console-N.log.
#
# Emulation is slow, and slower when other programs run. So that this does not look like packets
# that come late, a guest's clock counts its processor's instructions (two nanoseconds each) while
# it works, and goes with ours while it waits: the seconds that tests take are those of a fast
# machine. That allows one processor to a guest; several guests use the others.
set -u

here=$PWD
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
build=$top/build guests='' jobs=2 limit='' package='' memory=1024 shell=0
patterns=() command=()

wrong() {
    echo "check-vm: $*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --shell)
        shell=1
        shift
        command=("$@")
        break
        ;;
    --build | --kernel)
        [ -n "${2:-}" ] || wrong "$1 needs a value"
        if [ "$1" = --kernel ]; then package=$2; else
            build=$(cd "$2" 2>/dev/null && pwd) || wrong "there is no folder $2"
        fi
        shift
        ;;
    --guests | --jobs | --limit | --memory)
        case ${2:-} in '' | 0* | *[!0-9]*) wrong "$1 needs a number" ;; esac
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    --only) ;; # the names that follow need no introduction
    -*) wrong "unknown option $1 (see the first lines of tool/check-vm.sh)" ;;
    *) patterns+=("$1") ;;
    esac
    shift
done

room=$build/vm out=$room/out
passed=0 failed=0 skipped=0 machines=() follower=''

line() {
    printf '%-28s %s\n' "$1" "$2${3:+: $3}"
}
finish() {
    trap - EXIT
    # shellcheck disable=SC2086
    kill "${machines[@]}" $follower 2>/dev/null
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

# Of what a guest's kernel said, the complaint, if there is one, or else the end.
last_words() {
    tr -d '\r' | awk '/^init:|panic|BUG:|Oops|ernel bug/ && !from { from = NR }
        { line[NR] = $0 }
        END {
            if (!from) from = NR - 15
            for (i = from; i <= NR && i < from + 16; i++) if (i > 0) print line[i]
        }'
}

# The files of the kernel's package that the guest can use, in $kernel.
fetch_kernel() {
    local log=$room/kernel.log deb name unwanted=() wanted=()
    [ -n "$package" ] || package=$(apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' | head -n 1)
    if [ -z "$package" ]; then # no lists of packages: what is there from an earlier time will do
        package=$(find "$room" -maxdepth 1 -name 'linux-image-*' -type d | sort -V | tail -n 1)
        package=${package##*/}
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
    for name in net lib crypto fs arch drivers/net drivers/virtio drivers/char/hw_random; do
        wanted+=("*/lib/modules/*/kernel/$name")
    done
    if ! dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$kernel" --wildcards "${unwanted[@]}" \
        './boot/*' '*/lib/modules/*/modules.*' "${wanted[@]}" >>"$log" 2>&1; then
        fail "$package cannot be unpacked" "$log"
    fi
    rm -rf "$room/download"
    [ ! -d "$kernel/usr/lib" ] || mv "$kernel/usr/lib" "$kernel/lib"
    version=$(cd "$kernel/lib/modules" && echo *)
    # Modules may be packed (from Debian 13 on): here that is undone quickly.
    find "$kernel/lib" -name '*.ko.xz' -print0 | xargs -0 -r -n 32 -P 2 xz -d >>"$log" 2>&1 ||
        fail "the modules of $package cannot be unpacked" "$log"
    depmod -b "$kernel" "$version" >>"$log" 2>&1 || fail "depmod does not like $package" "$log"
    python3 -B "$top/test/vm/vmlinux.py" "$kernel/boot/vmlinuz-$version" "$kernel/vmlinux" ||
        ln -s "boot/vmlinuz-$version" "$kernel/vmlinux" # packed in a new way: it starts, but later
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
    modprobe -d "$kernel" -S "$version" -a --show-depends virtio_pci virtio-rng 9p 9pnet_virtio \
        overlay >"$room/needs" 2>&1 || fail "$package lacks a module" "$room/needs"
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }' "$room/needs" >"$files/modules/list"
    while read -r module; do
        cp "$module" "$files/modules/" || fail "$module is not there"
        echo "${module##*/}" >>"$files/modules/order"
    done <"$files/modules/list"
    (cd "$files" && find . | busybox cpio -o -H newc 2>/dev/null) >"$room/initrd.cpio" ||
        fail "cannot write $room/initrd.cpio"
    rm -rf "$files"
}

quote() {
    printf ' %q' "$@"
}

# What each guest does, as the shell script that its first process becomes; $guest is its number.
write_start() {
    rm -rf "$out"
    mkdir -p "$out/claims" || fail "cannot make $out"
    echo "$kernel/lib/modules/$version" >"$out/modules"
    {
        echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root"
        echo "ip link set lo up; echo yes >/run/vm/booted-\$guest"
        if [ "$shell" = 0 ]; then
            echo "cd$(quote "$build")"
            echo "/usr/bin/python3 -B$(quote "$top/test/vm/guest.py" --jobs "$jobs" --slower 3 \
                --log /run/vm "$build" "${patterns[@]}") >/run/vm/said-\$guest 2>&1 </dev/null"
        elif [ ${#command[@]} -gt 0 ]; then
            echo "cd$(quote "$here")"
            echo "($(quote "${command[@]}")) >/run/vm/said-\$guest 2>&1 </dev/null"
        else
            echo "cd$(quote "$here"); export TERM=$(quote "${TERM:-linux}")"
            echo "setsid -c -w bash </dev/ttyS1 >/dev/ttyS1 2>&1"
        fi
        echo "echo \$? >/run/vm/status-\$guest; busybox poweroff -f"
    } >"$out/start"
}

# start_machine N: in the place of the shell.
start_machine() {
    local console=$room/console-$1.log second=(-serial null)
    [ "$interactive" = 0 ] || second=(-chardev "stdio,id=user,signal=off" -serial chardev:user)
    # The kernel's precautions against other users of its processor would only cost time here.
    exec setpriv --pdeathsig TERM qemu-system-x86_64 -M q35 -accel "tcg,thread=single" \
        -icount "shift=1,sleep=on" -smp 1 -m "$memory" -nodefaults -no-reboot -display none \
        -serial "file:${console//,/,,}" "${second[@]}" \
        -kernel "$kernel/vmlinux" -initrd "$room/initrd.cpio" -append "guest=$1 console=ttyS0 \
            quiet panic=-1 oops=panic mitigations=off nokaslr apparmor=0 audit=0 \
            cryptomgr.notests" \
        -device virtio-rng-pci \
        -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
        -virtfs "local,path=${out//,/,,},mount_tag=results,security_model=none" \
        2>"$room/qemu-$1.log"
}

# boot: the guests, from their start to their end; what they say appears as they say it. Returns 1
# when the time was over before.
boot() {
    local i end='' said=()
    rm -f "$room"/console-*.log "$room"/qemu-*.log
    if [ "$interactive" = 1 ]; then
        (start_machine 1)
        return 0
    fi
    for ((i = 1; i <= guests; i++)); do
        : >"$out/said-$i"
        said+=("$out/said-$i")
        start_machine "$i" </dev/null >/dev/null &
        machines+=($!)
    done
    tail -q -n +1 -f -s 0.2 "${said[@]}" 2>/dev/null 9>&- &
    follower=$!
    [ -z "$limit" ] || end=$((SECONDS + limit))
    while kill -0 "${machines[@]}" 2>/dev/null; do
        if [ -n "$end" ] && [ "$SECONDS" -ge "$end" ]; then
            kill "${machines[@]}" 2>/dev/null
            break
        fi
        sleep 0.2
    done
    wait "${machines[@]}"
    machines=()
    sleep 0.3 # for what was said last
    kill "$follower"
    wait "$follower" 2>/dev/null
    follower=''
    [ -z "$end" ] || [ "$SECONDS" -lt "$end" ]
}

arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
[ "$arch" = amd64 ] || skip "only amd64 has a guest so far, and this machine is $arch"
for program in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static depmod:kmod xz:xz-utils \
    setpriv:util-linux apt-get:apt; do
    command -v "${program%:*}" >/dev/null ||
        skip "${program%:*} is not installed (Debian: apt-get install ${program#*:})"
done
mkdir -p "$room" || fail "cannot make $room"
exec 9>"$room/lock"
flock -n 9 || wrong "another guest of this build runs"

interactive=0
if [ "$shell" = 1 ]; then
    guests=1
    [ ${#command[@]} -gt 0 ] || interactive=1
else
    limit=${limit:-900}
    if [ ${#patterns[@]} -eq 0 ]; then
        mapfile -t patterns < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$top/test/vm/tests")
    fi
    [ -f "$build/meson-info/intro-tests.json" ] || fail "there is no build in $build"
    python3 -B "$top/test/vm/guest.py" --list "$build" "${patterns[@]}" >"$room/chosen" 2>&1 ||
        fail "these tests cannot be run" "$room/chosen"
    n_tests=$(wc -l <"$room/chosen")
    [ -n "$guests" ] || guests=$(($(nproc) < 4 ? $(nproc) : 4))
    [ "$guests" -le "$n_tests" ] || guests=$n_tests
fi
fetch_kernel
make_initrd
write_start

begin=$SECONDS
boot
in_time=$?
seconds=$((SECONDS - begin))
for ((i = 1; i <= guests; i++)); do
    [ -s "$out/status-$i" ] && continue
    cat "$room/qemu-$i.log" "$room/console-$i.log" 2>/dev/null | last_words >"$room/last.log"
    find "$out" -name 'running-*' | sed 's/.*running-/had not ended: /' >>"$room/last.log"
    if [ ! -s "$out/booted-$i" ]; then
        fail "the guest did not start in $seconds s" "$room/last.log"
    elif [ "$in_time" = 0 ]; then
        fail "the guest died, in $seconds s" "$room/last.log"
    else
        fail "the guest was not done after $seconds s (--limit)" "$room/last.log"
    fi
done
[ "$shell" = 0 ] || finish "$(cat "$out/status-1")"
for ((i = 1; i <= guests; i++)); do
    [ -s "$out/counts-$i" ] || fail "the tests could not be run" "$out/said-$i"
    read -r p f s <"$out/counts-$i"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
line "virtual machine" "$([ "$failed" -gt 0 ] && echo FAILED || echo ok)" \
    "Linux $version, $guests guests, $seconds s"
finish
