"""Random bodies for tests/guest/timing/start.S: a body is a list of snippets, each whole by itself, so that any of them may be left
out. Registers of a body: r15 own memory, r14 shared memory, r13 own pages of 4 KiB, rbx a page of 1 GiB, r8 a random number, r12 the
turns; rax rcx rdx rsi rdi rbp r9 r10 r11 are anybody's."""

FREE = ["rax", "rcx", "rdx", "rsi", "rdi", "rbp", "r9", "r10", "r11"]
NARROW = {"rax": ("eax", "ax", "al"), "rcx": ("ecx", "cx", "cl"), "rdx": ("edx", "dx", "dl"), "rsi": ("esi", "si", "sil"),
          "rdi": ("edi", "di", "dil"), "rbp": ("ebp", "bp", "bpl"), "r9": ("r9d", "r9w", "r9b"), "r10": ("r10d", "r10w", "r10b"),
          "r11": ("r11d", "r11w", "r11b")}
SIZES = {8: "QWORD", 4: "DWORD", 2: "WORD", 1: "BYTE"}

ALU = "add or adc sbb and sub xor cmp".split()
CONDITIONS = "o no b ae e ne be a s ns p np l ge le g".split()
VECTOR = """paddb paddd paddq psubw psubq pand pandn por pxor andps xorpd pavgb pminsw pmaxub pabsd psignw pcmpeqd pcmpgtb pcmpgtq
    pshufb punpcklbw punpckhqdq unpcklps packsswb packusdw pmulld pmullw pmuludq pmaddwd psadbw phaddw phsubd phminposuw
    addps addpd subpd minps maxpd addsubps mulps mulpd haddps hsubpd divps divpd sqrtps sqrtpd rcpps rsqrtps cvtdq2ps cvttps2dq
    movdqa movshdup movapd ptest psllw psrld psraw""".split()
SCALAR = "addss addsd subsd minss maxsd mulss mulsd divss divsd sqrtss sqrtsd comiss ucomisd cvtss2sd cvtsd2ss cvtss2sd rcpss rsqrtss".split()
WITH_IMM = ["pshufd", "pshufhw", "shufps", "palignr", "blendps", "pblendw", "mpsadbw", "dpps", "dppd", "roundps", "roundsd",
            "pcmpistri", "pcmpestrm", "cmpps", "insertps"]
X87 = """fld1|fldpi|fadd st, st(1)|fmul st, st(2)|fdiv st, st(1)|fsqrt|fsin|fpatan|fyl2x|f2xm1|fxch st(1)|fabs|fchs|fcomi st, st(1)|frndint
    |fprem|fscale|fst st(3)|fldz|fnstsw ax|ftst|fdivrp|faddp""".replace("\n", "").replace("    ", "").split("|")
MMX = "paddb pmullw psadbw punpcklbw pcmpeqd pxor psubd pmaddwd".split()
PLAIN = """nop|lfence|sfence|mfence|pause|push rbx: cpuid: pop rbx|rdtsc|rdtscp|rdrand rax|swapgs; swapgs|clc|stc|cmc|cld|lahf|sahf|cdq|cqo|cbw|cwde|cwd|std; cld|salc0
    |rdfsbase rax|shr rdx, 20; wrgsbase rdx|pushfq; popfq|emms|cli|sti|cli|endbr64|wbinvd|clts|fninit|stac; clac|str ax|sldt cx|smsw eax|verr ax""".replace(
    "\n", "").replace("    ", "").replace("|salc0", "").split("|")
STRINGS = ["movs", "stos", "lods", "scas", "cmps"]
SMALL = "mov ecx, r8d; shr ecx, 7; and ecx, 0x1f8; "  # an index
TABLES = ["pml4_a", "pml4_a", "pml4_b", "pdpt", "pdpt + 8", "pdpt + 16", "pd", "pd + 8", "pd_window", "pd_window + 8", "pt_code", "pt_code + 8"]


class Body:
    """Snippets of one vCPU; r: random.Random."""

    def __init__(self, r, cpus):
        self.r, self.cpus = r, cpus
        self.hot = [r.randrange(0, 4000, 8) for _ in range(6)]  # where forwarding happens
        self.stride = 64 << r.randrange(2, 15)                  # of lines that share a set
        self.kinds = [k for k in KINDS if r.random() < 0.6] or KINDS

    def reg(self, size=8, but=()):
        name = self.r.choice([f for f in FREE if f not in but])
        return name if size == 8 else NARROW[name][{4: 0, 2: 1, 1: 2}[size]]

    def place(self, bytes_=8, write=False, shared=True):
        """The inside of a memory operand, and what goes before it."""
        r = self.r
        kind = r.randrange(13)
        if kind < 4:
            return "", f"r15 + {r.choice(self.hot) + r.choice([0, 0, 0, 1, 2, 4])}"
        if kind == 4:
            return "", f"r15 + {64 * r.randrange(1, 60) - r.randrange(0, bytes_ + 1)}"
        if kind == 5:
            return "", f"r13 + {4096 * r.randrange(1, 500) - r.choice([0, 0, bytes_, 2048, 64])}"
        if kind == 6:
            return "", f"rbx + {self.stride * r.randrange(24) % 0x1c00000}"
        if kind == 7 and shared:
            return "", f"r14 + {64 * r.randrange(8) + r.choice([0, 8, 16])}"
        if kind >= 10:
            return self.shared_place(bytes_)
        if kind == 8:
            return f"mov r10d, r8d; shr r10d, {r.randrange(8, 20)}; and r10d, {r.choice([0x38, 0xff8, 0xffff8])}; ", "r15 + r10"
        return f"mov r10d, r8d; shr r10d, 9; and r10d, {r.choice([0x1ff000, 0x1f1008, 0x7fff8])}; ", "r13 + r10"

    def shared_place(self, bytes_):
        """In two lines or pages that all vCPUs use, and near them."""
        r, back = self.r, self.r.choice([bytes_ // 2, 1, 3, bytes_, 0])
        if r.random() < 0.5:
            return "", f"r14 + {64 * r.randrange(1, 7) - back}"
        page = r.choice([r.randrange(1, 8), r.randrange(self.cpus) * 512 + r.randrange(1, 4), r.randrange(1, 2048)])
        return f"mov r10d, {0x80000000 + 4096 * page - back}; ", "r10"

    def operand(self, size, write=False, shared=True):
        before, inside = self.place(size, write, shared)
        return before, f"{SIZES[size]} PTR [{inside}]"

    # ---- kinds of snippets ----

    def scramble(self):
        return f"imul r8, r8, 0x5851f42d; add r8, {self.r.randrange(1 << 30)}"

    def alu(self):
        r, size = self.r, self.r.choice([1, 2, 4, 4, 8, 8])
        op = r.choice(ALU)
        form = r.randrange(4)
        if form == 0:
            return f"{op} {self.reg(size)}, {self.reg(size)}"
        before, at = self.operand(size, True)
        if form == 1:
            return f"{before}{op} {at}, {self.reg(size)}"
        if form == 2:
            return f"{before}{op} {self.reg(size)}, {at}"
        return f"{before}{r.choice(['inc', 'dec', 'not', 'neg'])} {at}"

    def one(self):
        r, a, b = self.r, self.reg(), self.reg()
        before, at = self.operand(8)
        return before + r.choice([
            f"lea {a}, [{b} + {r.randrange(999)}]", f"lea {a}, [{b} + {a} * 4 + 1]", f"shl {a}, {r.randrange(64)}", f"sar {a}, cl",
            f"rcl {a}, 3", f"shld {a}, {b}, 5", f"shrd {at}, {b}, cl", f"bt {a}, {b}", f"bts {at}, 5", f"btr {a}, 9", f"bsf {a}, {at}",
            f"lzcnt {a}, {b}", f"popcnt {a}, {at}", f"crc32 {a}, {b}", f"imul {a}, {b}", f"imul {a}, {at}, 77", f"mul {a}",
            f"mul {at}", f"xchg {a}, {b}", f"xadd {a}, {b}", f"xadd {at}, {a}", f"cmpxchg {at}, {b}", "cmpxchg16b [r15 + 512]",
            f"bswap {a}", f"set{r.choice(CONDITIONS)} al", f"cmov{r.choice(CONDITIONS)} {a}, {at}", f"movbe {a}, {at}",
            f"xor {a}, {a}", f"mov {a}, {b}", f"mov e{a[1:] if a[1] in 'abcds' else 'ax'}, ecx", f"sub {a}, {a}", f"test {a}, {b}",
            f"rol {at}, 7", f"movnti {at}, {a}", f"prefetcht0 {at.split(' ', 2)[2]}", f"clflush [r15 + {r.choice(self.hot)}]",
            f"tzcnt {a}, {b}", f"rorx {a}, {b}, 7" if r.random() < 0 else f"ror {a}, 9", f"mov {a}, {r.randrange(1 << 40)}",
            f"push {a}; pop {b}", f"push QWORD PTR [r15 + {r.choice(self.hot)}]; pop {b}",
            f"push {a}; pop QWORD PTR [r13 + {8 * r.randrange(99)}]", "pushfq; pop rax", f"cmpxchg8b [r15 + {r.choice(self.hot)}]"])

    def divide(self):
        size = self.r.choice([1, 2, 4, 8])
        if size == 1:
            return "mov eax, 99; or cl, 1; div cl"
        registers = {2: ("dx", "cx"), 4: ("edx", "ecx"), 8: ("rdx", "rcx")}[size]
        return f"xor edx, edx; or ecx, 1; {self.r.choice(['div', 'div'])} {registers[1]}"

    def load_store(self):
        r, size = self.r, self.r.choice([1, 2, 4, 8, 8])
        before, at = self.operand(size, True)
        if r.random() < 0.5:
            return f"{before}mov {at}, {self.reg(size)}"
        if size < 4 and r.random() < 0.5:
            return f"{before}{r.choice(['movzx', 'movsx'])} {self.reg(4)}, {at}"
        return f"{before}mov {self.reg(size)}, {at}"

    def forward(self):
        """A store and loads of it, whole and in part."""
        r, at = self.r, self.r.choice(self.hot)
        out = []
        for _ in range(r.randrange(2, 7)):
            size = r.choice([1, 2, 4, 8])
            address = f"{SIZES[size]} PTR [{r.choice(['r15', 'r15', 'r15 + rax * 0'.split(' + ', maxsplit=1)[0]])} + {at + r.randrange(0, 8)}]"
            out.append(f"mov {address}, {self.reg(size)}" if r.random() < 0.5 else f"mov {self.reg(size)}, {address}")
        if r.random() < 0.4:
            out.append(f"movups xmm{r.randrange(8)}, [r15 + {at}]")
        return "; ".join(out)

    def many_stores(self):
        step = self.r.choice([1, 8, 64, 4096])
        base = self.r.choice(["r15", "rbx", "r13"])
        return "; ".join(f"mov [{base} + {i * step}], rcx" for i in range(self.r.randrange(10, 70)))

    def many_loads(self):
        step = self.r.choice([8, 64, 4096, self.stride])
        base = "rbx" if step == self.stride else self.r.choice(["r15", "rbx", "r13"])
        return "; ".join(f"mov {self.reg()}, [{base} + {i * step % 0x1c0000}]" for i in range(self.r.randrange(8, 40)))

    def chase(self):
        mask = self.r.choice([0x3f8, 0xfff8, 0x7ff8])
        return "; ".join([f"mov rsi, [r15 + rsi]; and esi, {mask}"] * self.r.randrange(2, 6)).join(["xor esi, esi; ", ""])

    def vector(self):
        r, x, y = self.r, self.r.randrange(16), self.r.randrange(16)
        before, inside = self.place(16)
        form = r.randrange(8)
        if form == 0:
            return f"{before}movups [{inside}], xmm{x}"
        if form == 1:
            return f"{before}{r.choice(['movups', 'lddqu', 'movdqu'])} xmm{x}, [{inside}]"
        if form == 2:
            return f"{r.choice(WITH_IMM)} xmm{x}, xmm{y}, {r.choice([0, 1, 2, 3])}"
        if form == 3:
            return f"{r.choice(SCALAR)} xmm{x}, xmm{y}"
        if form == 4:
            return r.choice([f"movd {self.reg(4)}, xmm{x}", f"movq xmm{x}, {self.reg()}", f"pinsrd xmm{x}, {self.reg(4)}, 1",
                             f"pmovmskb {self.reg(4)}, xmm{x}", f"pextrq {self.reg()}, xmm{x}, 1", f"cvtsi2sd xmm{x}, {self.reg()}",
                             f"cvttsd2si {self.reg()}, xmm{x}", f"movhlps xmm{x}, xmm{y}", f"pxor xmm{x}, xmm{x}",
                             f"movss xmm{x}, xmm{y}", f"movsd xmm{x}, xmm{y}", f"movss xmm{x}, xmm{y}", "ldmxcsr [r15 + 1024 * 1000]" if r.random() < 0 else "stmxcsr [r15 + 8]",
                             f"pslldq xmm{x}, 3", f"pmovsxbw xmm{x}, xmm{y}", f"movddup xmm{x}, xmm{y}", f"movntdq [r15 + 256], xmm{x}"])
        if form == 5:
            return f"{before}{r.choice(['movlps', 'movhps', 'movsd'])} {'xmm%d, [%s]' % (x, inside) if r.random() < 0.5 else '[%s], xmm%d' % (inside, x)}"
        if form == 6:
            return f"movaps [r15 + {16 * r.randrange(200)}], xmm{x}; {r.choice(VECTOR)} xmm{y}, xmm{x}"
        return f"{r.choice(VECTOR[:-3])} xmm{x}, XMMWORD PTR [r15 + {16 * r.randrange(200)}]" if r.random() < 0.5 else \
            f"{r.choice(VECTOR)} xmm{x}, xmm{y}"

    def x87(self):
        r = self.r
        return r.choice([r.choice(X87), f"fld QWORD PTR [r15 + {r.choice(self.hot)}]", f"fstp QWORD PTR [r15 + {r.choice(self.hot)}]",
                         f"fild DWORD PTR [r15 + {r.choice(self.hot)}]", f"fstp TBYTE PTR [r15 + {r.choice(self.hot)}]",
                         f"{r.choice(MMX)} mm{r.randrange(8)}, mm{r.randrange(8)}", f"movq mm1, [r15 + {r.choice(self.hot)}]",
                         f"movq [r15 + {r.choice(self.hot)}], mm{r.randrange(8)}", "movd eax, mm3"])

    def locked(self):
        r = self.r
        inside = f"r14 + {64 * r.randrange(6)}" if r.random() < 0.6 else f"r15 + {r.choice(self.hot)}"
        before = ""
        if r.random() < 0.1:
            inside = f"r15 + {64 * r.randrange(1, 9) - 3}"
        elif r.random() < 0.25:
            before, inside = self.shared_place(4)
        return before + r.choice([f"lock xadd [{inside}], {self.reg()}", f"xchg [{inside}], {self.reg()}", f"lock inc DWORD PTR [{inside}]",
                         f"lock cmpxchg [{inside}], {self.reg()}", f"lock or WORD PTR [{inside}], 1", f"lock bts QWORD PTR [{inside}], 3"])

    def shared(self):
        """Lines that go back and forth."""
        r, out = self.r, []
        for _ in range(r.randrange(2, 8)):
            at = f"[r14 + {64 * r.randrange(4) + 8 * r.randrange(8)}]"
            out.append(r.choice([f"mov {at}, rcx", f"mov {self.reg()}, {at}", f"add {at}, rdx", f"mov {self.reg()}, {at}"]))
        return "; ".join(out)

    def quarrel(self):
        """Plain work for some hundred cycles, with lines that others want now and then: what may run before its turn, and what may not."""
        r, out = self.r, []
        lines = [r.randrange(6) for _ in range(r.randrange(1, 4))]
        for _ in range(r.randrange(3, 12)):
            at = f"[r14 + {64 * r.choice(lines) + 8 * r.randrange(8)}]"
            own = f"[r15 + {r.choice(self.hot)}]"
            out += [r.choice(["imul rax, rax, 7; imul rax, rax, 5", f"add rdx, {own}", f"mov {own}, rdx", f"mov rcx, {at}", f"add rdx, {at}",
                              f"mov {at}, rdx", f"add {at}, rcx", f"mov {own}, ecx", "xor ecx, edx; add eax, ecx", "test r9d, 3; jz 2f; inc edx; 2:",
                              f"mov rcx, {own}; add ecx, [r15 + {r.choice(self.hot)}]"])]
        return f"mov r9d, {r.randrange(4, 50)}; 1: {'; '.join(out)}; dec r9d; jnz 1b"

    def duel(self):
        """Who reads one line over and over and who writes it, also with accesses that reach into its neighbours; all that was read stays.
        A store that is wanted is alone in the queue, or behind own ones that hold it back: until its line comes and goes again."""
        r, line, out = self.r, self.r.choice([2, 2, 4]), []
        reads, writes = r.choice([(3, 0), (0, 3), (2, 1), (1, 2), (1, 1)])
        for _ in range(r.randrange(3, 9)):
            at = f"[r14 + {64 * line + r.choice([0, 8, 16, 56, -4, 61])}]"
            own = "".join(f"mov [r13 + {4096 * r.randrange(1, 4) + 64 * i}], rcx; " for i in range(r.choice([0, 0, 1, 4])))
            out += r.choices([f"add rdx, {at}; rol rdx, 7", f"{own}mov {at}, {r.choice(['rcx', 'rdx', 'ecx'])}; mfence",
                              "; ".join(["imul rcx, rcx, 77"] * r.randrange(1, 4)), "add rcx, 1"], [reads, writes, 1, 1])
        return f"mov r9d, {r.randrange(20, 60)}; 1: {'; '.join(out)}; dec r9d; jnz 1b; mov [r15 + {r.choice(self.hot)}], rdx"

    def sweep(self):
        """A loop within a line, whose loads push that line out of L2."""
        r, step = self.r, self.r.choice([64, 64, 128, self.stride])
        return f"mov r9d, {r.randrange(40, 160)}; xor r10d, r10d; .balign 64; 1: add rax, [rbx + r10]; add r10d, {step}; and r10d, 0x1fffc0; dec r9d; jnz 1b"

    def correlated(self):
        """A branch that follows the target of the jump before it, in a loop."""
        r = self.r
        return f"mov r9d, {r.randrange(12, 40)}; lea rax, [rip + 4f]; 1: {self.scramble()}; mov ecx, r8d; shr ecx, {r.randrange(8, 24)}; and ecx, 3; " \
            f"mov edx, [rax + rcx * 4]; jmp rdx; .balign 16; 4: .long 5f, 6f, 7f, 8f; 5: .nops {r.randrange(1, 20)}; jmp 9f; 6: .nops {r.randrange(1, 20)}; " \
            f"jmp 9f; 7: .nops {r.randrange(1, 20)}; jmp 9f; 8: inc edi; 9: test ecx, {r.choice([1, 2, 3])}; jz 3f; inc esi; 3: dec r9d; jnz 1b"

    def string(self):
        r, op = self.r, self.r.choice(STRINGS)
        size = r.choice("bwdq")
        rep = r.choice(["rep ", "rep ", ""]) if op in ("movs", "stos", "lods") else r.choice(["repe ", "repne ", ""])
        source = r.choice([f"lea rsi, [r15 + {r.randrange(1000)}]", f"lea rsi, [r13 + {4096 * r.randrange(1, 400) - 8 * r.randrange(12)}]",
                           f"lea rsi, [rbx + {r.randrange(1, 2000)}]"])
        target = r.choice([f"lea rdi, [r15 + {r.randrange(2000)}]", f"lea rdi, [r13 + {4096 * r.randrange(1, 400) - 8 * r.randrange(12)}]",
                           f"lea rdi, [r15 + {r.randrange(2000)}]"])
        back = r.random() < 0.15
        return f"{'std; ' if back else ''}{source}; {target}; mov ecx, {r.choice([0, 1, 2, 7, 20, 60, 150])}; {rep}{op}{size}" + \
            ("; cld" if back else "")

    def branches(self):
        r, mask = self.r, 1 << self.r.randrange(5, 30)
        return self.scramble() + f"; test r8d, {mask}; j{r.choice(['z', 'nz'])} 1f; " + "; ".join(
            f"add {self.reg()}, 1" for _ in range(r.randrange(1, 4))) + "; 1:"

    def loop(self):
        r = self.r
        inner = r.choice([self.alu, self.load_store, self.vector, self.shared, self.branches])().replace("1f", "2f").replace("1:", "2:")
        counter = r.choice(["dec r9d; jnz 1b", "sub r9d, 1; jne 1b"])
        inner = inner.replace("r9", "rax" if "r9d" not in inner and "r9w" not in inner and "r9b" not in inner else "r9")
        if "r9" in inner:
            return inner
        return f"mov r9d, {r.randrange(2, 14)}; 1: {inner}; {counter}"

    def indirect(self):
        r = self.r
        how = r.choice(["jmp rax", "call rax; jmp 9f"])
        end = "ret" if how.startswith("call") else "jmp 9f"
        return self.scramble() + f"; mov ecx, r8d; shr ecx, {r.randrange(8, 24)}; and ecx, 3; lea rax, [rip + 4f]; " \
            f"mov eax, [rax + rcx * 4]; {how}; .balign 16; 4: .long 5f, 6f, 7f, 8f; 5: inc edx; {end}; 6: add edx, 2; {end}; " \
            f"7: .nops {r.randrange(1, 70)}; {end}; 8: {end}; 9:"

    def calls(self):
        """Deeper than return stacks are."""
        return f"mov ecx, {self.r.choice([3, 9, 17, 40])}; call 1f; jmp 3f; 1: dec ecx; jz 2f; call 1b; 2: ret; 3:"

    def loops(self):
        return f"mov ecx, {self.r.randrange(1, 9)}; 1: inc edx; {self.r.choice(['loop', 'loopne', 'loope'])} 1b; jecxz 2f; nop; 2:"

    def patch(self):
        return f"mov DWORD PTR [rip + 1f + 1], r8d; {self.r.choice(['', 'mfence', 'push rbx; cpuid; pop rbx'])}; call 1f; jmp 2f; " \
            f"{self.r.choice(['', '.balign 64', '.balign 4096'])}; 1: mov eax, 7; ret; 2:"

    def far_code(self):
        return f"jmp 1f; .balign {self.r.choice([16, 64, 4096])}; 1: .nops {self.r.randrange(1, 130)}"

    def system(self):
        r = self.r
        page = f"[r13 + {4096 * r.randrange(512)}]"
        switch = f"mov eax, OFFSET pml4_{r.choice('ab')} + {r.choice([0, 1, 2])}; "
        return r.choice([
            f"invlpg {page}", f"invlpg {page}", switch + "mov cr3, rax", switch + "bts rax, 63; mov cr3, rax", "mov rax, cr3; mov cr3, rax",
            f"push 0; push {r.choice([0, 1])}; mov eax, {r.choice([0, 1, 2, 3])}; lea rcx, {page}; mov [rsp + 8], rcx; invpcid rax, [rsp]; "
            "add rsp, 16", "mov rax, cr4; mov cr4, rax", "mov rax, cr0", "mov ecx, 0xc0000100; rdmsr; wrmsr",
            "ud2", "lea rcx, [rip + 1f]; mov r11d, 2; sysretq; 1: mov rax, [r15]; syscall",
            "mov eax, cs; push rax; lea rax, [rip + 1f]; push rax; retfq; 1:",
            "mov rdx, rsp; mov eax, ss; push rax; push rdx; pushfq; mov eax, cs; push rax; lea rax, [rip + 1f]; push rax; iretq; 1:",
            "fxsave [r15 + 0x80000]; fxrstor [r15 + 0x80000]", "mov eax, 3; xor edx, edx; xsave [r15 + 0x81000]",
            "mov eax, 3; xor edx, edx; lea rcx, [r15 + 0x82000]; xsave [rcx]; xrstor [rcx]", "mov rbp, rsp; enter 32, 0; leave", "mov rbp, rsp; enter 16, 3; leave",
            "lea rdi, [r15 + 99]; maskmovdqu xmm1, xmm2", "sgdt [r15 + 0x2000]", "xor ecx, ecx; xgetbv", "enter 24, 0; leave", "imul rbp, r8; enter 8, 0; leave",
            f"lea rbp, [r15 + {r.choice(self.hot)}]; enter 16, {r.randrange(1, 32)}; leave",
            f"lea rbp, [r14 + {64 * r.randrange(4, 8) + r.choice([0, 3, 8])}]; enter 8, {r.randrange(1, 9)}; leave",
            f"lea rbp, [r13 + {4096 * r.randrange(1, 500) + r.choice([0, 4, 16])}]; enter 8, {r.randrange(1, 9)}; leave", "fnsave [r15 + 0x83000]",
            "lea rax, [r15 + 64]; xor ecx, ecx; xor edx, edx; monitor", self.raised(), self.raised()])

    def raised(self):
        """INT n and the like, with stores on their way, in both rings; it follows at once."""
        r, out = self.r, []
        for _ in range(r.choice([0, 1, 3, 9])):
            before, at = self.operand(8, True)
            out.append(f"{before}mov {at}, rcx")
        number = r.choice(["int 0x80", "int 0x80", "int3", "int1"])
        user = f"lea rcx, [rip + 1f]; mov r11d, 2; sysretq; 1: mov [r15 + {r.choice(self.hot)}], rdx; {number}; syscall"
        return "; ".join([*out, r.choice([number, f"{number}; {number}", user])])

    def tables(self):
        """Bits of entries that all use are clear again."""
        r = self.r
        entry = r.choice([*TABLES, f"window + {4096 * r.randrange(self.cpus) + 8 * r.randrange(1, 9)}"])
        clear = r.choice(["lock and BYTE PTR", "lock and BYTE PTR", "and BYTE PTR"]) + f" [{entry}], {r.choice([0x9f, 0xdf, 0xbf])}"
        flush = r.choice(["mov rax, cr3; mov cr3, rax", "mov rax, cr4; xor rax, 0x80; mov cr4, rax; xor rax, 0x80; mov cr4, rax",
                          f"invlpg [r13 + {4096 * r.randrange(8)}]", f"mov eax, OFFSET pml4_{r.choice('ab')}; mov cr3, rax"])
        before, at = self.shared_place(8)
        return f"{clear}; {flush}; {before}{r.choice([f'mov rax, [{at}]', f'mov [{at}], rdx', f'lock add QWORD PTR [{at}], 1'])}"

    def three(self):
        """PUSH, POP and CALL whose address comes of base, index and RSP, each of them late."""
        r, out = self.r, ["mov rax, r15; " + SMALL]
        for late in r.choice([[], ["rax"], ["rcx"], ["rsp"], ["rax", "rcx"], ["rsp", "rcx"]]):
            out.append(f"imul {late}, {late}, 1; " * r.randrange(1, 5))
        at = f"QWORD PTR [rax + rcx * {r.choice([1, 2, 8])} + {r.choice([0, 8, 60, 61])}]"
        if r.random() < 0.3:
            return "".join(out) + "and ecx, 3; lea rax, [rip + 4f]; call QWORD PTR [rax + rcx * 8]; jmp 9f; .balign 16; 4: " \
                ".quad 5f, 6f, 7f, 5f; 5: inc edx; 6: ret; 7: .nops 9; ret; 9:"
        return "".join(out) + r.choice([f"push {at}; pop rdx", f"push rdx; pop {at}", f"push {at}; pop {at}"])

    def devices(self):
        r = self.r
        return r.choice(["out 0x80, al", "in al, 0x21", "mov edx, 0x3ff; in al, dx", "mov eax, 0xfee00000; mov ecx, [rax + 0x20]",
                         "mov edx, 0x3ff; mov eax, 5; out dx, al", "mov eax, 0xfee00000; mov DWORD PTR [rax + 0x80], 0",
                         "mov edx, 0x3ff; lea rsi, [r15 + 61]; mov ecx, 3; rep outsb"])

    def messages(self):
        target = self.r.choice(["0x44040", "0x44040", "0x84040", "0xc4040"])
        wait = self.r.choice(["sti; hlt; cli", "sti; pause; nop; cli", "sti; hlt"])
        own = "mov DWORD PTR [rax + 0x300], 0x44040; "
        return f"cli; mov eax, 0xfee00000; mov DWORD PTR [rax + 0x300], {target}; {own}{wait}"

    def interrupts(self):
        """Of a UART that has nothing to send: through the I/O APIC, to the first or the second vCPU."""
        r = self.r
        first = f"mov edx, {r.choice(['0x2f9', '0x3f9'])}; xor eax, eax; out dx, al; mov al, 2; out dx, al"
        return first + r.choice(["", "; mov edx, 0x3fa; in al, dx"]) + r.choice(["", f"; {self.awaited()}"])

    def sent(self):
        """Messages to all others, between work that the others' messages may cut."""
        message = "mov eax, 0xfee00000; mov DWORD PTR [rax + 0x300], 0xc4040"
        return "; ".join([self.awaited(), message, *[self.awaited() for _ in range(self.r.randrange(3))]])

    def awaited(self):
        """Plain work that an interrupt may cut."""
        return f"sti; {self.quarrel()}; cli"

    def merged(self):
        """Vector registers of which a part stays: the old value is late."""
        r = self.r
        x, y = r.sample(range(16), 2)
        late = f"{r.choice(['divsd', 'sqrtsd', 'mulsd', 'paddd'])} xmm{x}, xmm{r.choice([x, y])}; " * r.randrange(1, 4)
        how = r.choice([f"movss xmm{x}, xmm{y}", f"movsd xmm{x}, xmm{y}", f"movhlps xmm{x}, xmm{y}", f"movlhps xmm{x}, xmm{y}",
                        f"sqrtss xmm{x}, xmm{y}", f"cvtsi2sd xmm{x}, rdx", f"pinsrd xmm{x}, edx, 2", f"movlps xmm{x}, [r15 + 64]"])
        return f"pxor xmm{y}, xmm{y}; {late}{how}; movaps [r15 + {16 * r.randrange(200)}], xmm{x}"

    def plain(self):
        return self.r.choice(PLAIN).replace(":", ";")

    def snippets(self, count):
        return [getattr(self, self.r.choice(self.kinds))() for _ in range(count)]


KINDS = ["alu", "alu", "one", "one", "one", "divide", "load_store", "load_store", "forward", "forward", "many_stores", "many_loads", "chase",
         "vector", "vector", "vector", "x87", "locked", "locked", "shared", "shared", "quarrel", "quarrel", "duel", "duel", "sweep", "correlated", "string", "string", "branches", "branches", "loop", "loop", "indirect",
         "calls", "loops", "patch", "far_code", "system", "system", "raised", "tables", "tables", "three", "devices", "messages", "plain", "plain", "scramble",
         "interrupts", "interrupts", "awaited", "awaited", "sent", "sent", "merged"]


def body_text(number, snippets, turns):
    lines = [f"body{number}:", f"    mov r12d, {turns}", f"turn{number}:"]
    for snippet in snippets:
        lines += ["    " + part.strip() for part in snippet.split(";") if part.strip()]
    lines += ["    dec r12d", f"    jnz turn{number}", "    cli", "    cld", "    ret"]
    return lines


def program(bodies, turns):
    """body.inc: a body for each vCPU, at pages of their own."""
    lines = ["bodies:", "    .long " + ", ".join(f"body{i}" for i in range(len(bodies)))]
    for i, snippets in enumerate(bodies):
        lines += ["    .balign 4096", *body_text(i, snippets, turns)]
    return "\n".join(lines) + "\n"
