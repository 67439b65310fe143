// A table of ninety numbers, behind a check of the index: each of them.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O2 -static-pie | gcc -O0 -static-pie -s
// calls: 2 5 8 11 14 17 20 23 26 29 32 35 38 41 44 47 50 53 62 65 68 71 74 77 80 83 86 89 92 95 98 101 104 107 110 113 116 119 122 125 128 131 134 137 140 143 146 149 152 155 158 161 164 167 170 173 176 179 182 185 188 191 194 197 200 203 206 209 212 215 218 221 224 227 230 233 236 239 242 245 248 251 254 257 260 263 266 269 272 275 exit_group restart_syscall
// calls[aarch64]: 2 5 8 11 14 17 20 23 26 29 32 35 38 41 44 47 50 53 62 65 68 71 74 77 80 83 86 89 92 95 98 101 104 107 110 113 116 119 122 125 128 131 134 137 140 143 146 149 152 155 158 161 164 167 170 173 176 179 182 185 188 191 194 197 200 203 206 209 212 215 218 221 224 227 230 233 236 239 242 245 248 251 254 257 260 263 266 269 272 275 exit_group restart_syscall rt_sigreturn
// extra: 56 59 — between the numbers: sixty-four are kept apart, more become a range with a stride
// doubt: exec — for one of those
// gap[x86_64]: 2 5 8 11 14 17 20 23 26 29 32 35 38 41 44 47 50 53 62 65 68 71 74 77 80 83 86 89 92 95 98 101 104 107 110 113 116 119 122 125 128 131 134 137 140 143 146 149 152 155 158 161 164 167 170 173 176 179 182 185 188 191 194 197 200 203 206 209 212 215 218 221 224 227 230 233 236 239 242 245 248 251 254 257 260 263 266 269 272 275 restart_syscall — a table of more than sixty-four words
// run: some
#include "freestanding.h"

#define ALL(X) \
  X(2) X(5) X(8) X(11) X(14) X(17) X(20) X(23) X(26) X(29) X(32) X(35) X(38) X(41) X(44) X(47) \
  X(50) X(53) X(62) X(65) X(68) X(71) X(74) X(77) X(80) X(83) X(86) X(89) X(92) X(95) X(98) \
  X(101) X(104) X(107) X(110) X(113) X(116) X(119) X(122) X(125) X(128) X(131) X(134) X(137) \
  X(140) X(143) X(146) X(149) X(152) X(155) X(158) X(161) X(164) X(167) X(170) X(173) X(176) \
  X(179) X(182) X(185) X(188) X(191) X(194) X(197) X(200) X(203) X(206) X(209) X(212) X(215) \
  X(218) X(221) X(224) X(227) X(230) X(233) X(236) X(239) X(242) X(245) X(248) X(251) X(254) \
  X(257) X(260) X(263) X(266) X(269) X(272) X(275)

#define X(n) n,
static const short numbers[] = {ALL(X)};

void run(long *stack) {
  unsigned long n = (unsigned long)stack[0] - 1;
  if (n < sizeof numbers / sizeof numbers[0]) sys1(numbers[n], -1);
  quit();
}
