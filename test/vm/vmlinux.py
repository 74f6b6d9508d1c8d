"""Takes the kernel itself out of the file that boot loaders start: QEMU can start it directly,
while unpacking itself takes an emulated processor four seconds.

usage: vmlinux.py VMLINUZ OUT

Linux/x86 boot protocol, from 2.08 on (Documentation/arch/x86/boot.rst): the setup code's sectors
(one byte at 0x1f1) and one more are followed, at an offset (four at 0x248), by the packed kernel
(its size: four at 0x24c)."""
import gzip
import lzma
import struct
import subprocess
import sys

UNPACK = {  # by how the packed kernel begins; the unpacked size may follow it, in four bytes
    b"\xfd7zXZ\0": lambda data: lzma.LZMADecompressor().decompress(data),
    b"\x1f\x8b": gzip.decompress,
    b"\x28\xb5\x2f\xfd": lambda data: subprocess.run(["zstd", "-dqc"], input=data[:-4], check=False,
                                                     stdout=subprocess.PIPE).stdout,
}


def main():
    with open(sys.argv[1], "rb") as file:
        image = file.read()
    offset, size = struct.unpack_from("<II", image, 0x248)
    begin = (image[0x1f1] + 1) * 512 + offset
    packed = image[begin:begin + size]
    for magic, unpack in UNPACK.items():
        if packed.startswith(magic):
            kernel = unpack(packed)
            if kernel.startswith(b"\x7fELF"):
                with open(sys.argv[2], "wb") as file:
                    file.write(kernel)
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
