#!/bin/sh
# Makes a small virtual machine out of Debian's packages: the cloud kernel and an
# initramfs of busybox that sets one address and one gateway, taken from the kernel
# command line (addr=10.0.0.5/24 gw=10.0.0.1 try="10.0.0.6 10.0.0.7"), pings what it
# was told to try, prints "sarn-guest TARGET ok|lost" for each, answers pings, and
# powers off when it reads a line on its console.
#
# Usage: scripts/guest.sh DIR   leaves DIR/vmlinuz and DIR/initrd.gz
set -eu
cd "$(dirname "$0")/.."
out=$1
kernel=.cache/kernel # make deps fetches it
[ -d "$kernel/boot" ] || .ci/deps
[ -s "$out/vmlinuz" ] && [ "$out/initrd.gz" -nt scripts/guest.sh ] && exit 0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
mkdir -p "$out"

fs=$tmp/initramfs
mkdir -p "$fs/bin" "$fs/lib" "$fs/proc" "$fs/sys" "$fs/dev"
cp "$(command -v busybox)" "$fs/bin/busybox"
for m in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net; do
	find "$kernel/lib/modules" -name "$m.ko" -exec cp {} "$fs/lib/" \;
done
cat >"$fs/init" <<'EOF'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for pass in 1 2 3; do # they need each other; what fails for want of another goes in later
	for f in /lib/*.ko; do insmod "$f" 2>/dev/null; done
done
for word in $(cat /proc/cmdline); do
	case $word in addr=*) addr=${word#addr=} ;; gw=*) gw=${word#gw=} ;; try=*) try=${word#try=} ;; esac
done
ip link set lo up
ip link set eth0 up
ip addr add "$addr" dev eth0
ip route add default via "$gw"
echo "sarn-guest up $addr"
for target in $(echo "$try" | tr , ' '); do
	if ping -c 1 -W 3 "$target" >/dev/null 2>&1; then echo "sarn-guest $target ok"; else echo "sarn-guest $target lost"; fi
done
echo "sarn-guest ready"
read -r _
poweroff -f
EOF
chmod +x "$fs/init"
(cd "$fs" && find . | cpio -o -H newc --quiet | gzip -1) >"$out/initrd.gz.new"
cp "$(find "$kernel/boot" -name 'vmlinuz-*' | head -n 1)" "$out/vmlinuz"
mv "$out/initrd.gz.new" "$out/initrd.gz"
