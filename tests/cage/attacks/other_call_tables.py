# Uses the system calls of 32-bit programs (int 0x80), whose numbers a 64-bit filter reads wrongly.
# range: only=x86_64
import ctypes
import mmap

from common import finish, hit, in_child

# push rbx; mov eax, edi; mov ebx, esi; mov ecx, edx; xor edx, edx; xor esi, esi; int 0x80; pop rbx; ret
CODE = bytes.fromhex("53 89f8 89f3 89d1 31d2 31f6 cd80 5b c3")
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(CODE)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
low = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(start)
# In 32-bit numbers: getpid 20, ptrace 26 (TRACEME), unshare 310 (a user namespace), memfd_create 356.
for name, number, argument in (("getpid", 20, 0), ("ptrace", 26, 0), ("unshare", 310, 0x10000000)):
    if in_child(lambda: 0 if low(number, argument, 0) >= 0 else 1) == 0:
        hit(name)
finish()
