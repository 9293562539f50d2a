#!/usr/bin/env python3
"""The arithmetic, the parsing and the gates of a validation against known answers; runs without silicon."""
import math
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts"))

from fidelity import blocks, conclusions, cut, derived, report, runs, sensitivity, stats  # noqa: E402

CHAIN = stats.CHAIN_CYCLES


class Statistics(unittest.TestCase):
    def test_a_sample_counts_up_to_half_a_percent(self):
        self.assertTrue(stats.agrees((2000, 0, 0, 2010)))
        self.assertTrue(stats.agrees((2000, 0, 0, 1990)))
        self.assertFalse(stats.agrees((2000, 0, 0, 2011)))
        self.assertFalse(stats.agrees((2000, 0, 0, 1989)))

    def test_ticks_become_core_cycles(self):
        sample = (CHAIN // 2, 1000, 2100, CHAIN // 2)  # two core cycles in a tick
        f = stats.figure([sample] * 3, 110)
        self.assertEqual((f.value, f.spread, f.kept, f.rejected, f.ratio), (20.0, 0.0, 3, 0, 2.0))
        self.assertEqual(stats.figure([sample], 110, convert=False).value, 10.0)
        self.assertEqual(stats.figure([sample], 1, paired=False).value, 2000.0)

    def test_median_and_spread_without_the_rejected(self):
        samples = [(CHAIN, 0, n, CHAIN) for n in (1, 2, 3, 4, 100)] + [(CHAIN, 0, 9999, 2 * CHAIN)]
        f = stats.figure(samples, 1)
        self.assertEqual((f.value, f.spread, f.kept, f.rejected), (3.0, 1.0, 5, 1))
        self.assertIsNone(stats.figure(samples[5:], 1))

    def test_quartiles(self):
        self.assertEqual(stats.quartiles([7]), (7, 7, 7))
        self.assertEqual(stats.quartiles([4, 1, 3, 2]), (1.75, 2.5, 3.25))

    def test_kendall_tau(self):
        self.assertEqual(stats.kendall_tau([(1, 10), (2, 20), (3, 30)]), 1.0)
        self.assertEqual(stats.kendall_tau([(1, 30), (2, 20), (3, 10)]), -1.0)
        self.assertAlmostEqual(stats.kendall_tau([(1, 1), (2, 3), (3, 2), (4, 4)]), 4 / 6)
        ties = list(zip([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]))
        self.assertAlmostEqual(stats.kendall_tau(ties), -0.47140452079103173)
        self.assertTrue(math.isnan(stats.kendall_tau([(1, 1), (1, 2)])))

    def test_spearman(self):
        self.assertAlmostEqual(stats.spearman(list(zip([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]))), 0.8207826816681233)
        self.assertEqual(stats.ranks([10, 30, 20, 30]), [1.0, 3.5, 2.0, 3.5])

    def test_errors(self):
        self.assertEqual(stats.error(11, 10), 0.1)
        self.assertEqual(stats.error(0, 0), 0.0)
        self.assertEqual(stats.error(1, 0), math.inf)
        self.assertAlmostEqual(stats.mean_error([(11, 10), (7, 10)]), 0.2)


class Parsing(unittest.TestCase):
    def test_runs(self):
        found = runs.parse_runs("large thp\nrun 5c 0 1f 2 900,10,20,901 8ff,1,2,900\nend\n")
        self.assertEqual(found[0x5c], runs.Run(0x5c, 0, 0x1f, 2, [(0x900, 0x10, 0x20, 0x901), (0x8ff, 1, 2, 0x900)]))
        self.assertRaises(runs.Failure, runs.parse_runs, "run 1 0 0 0 900,1,2\n")
        self.assertRaises(runs.Failure, runs.finished, ["x"], 1, "run 1 0 0 0\n", "")

    def test_jobs(self):
        found, count = runs.parse_jobs("job 0 1 add_lat 160 64 4096 0\njob 1 4 hash 0 0 2097152 0\nblocks 2 7\n")
        self.assertEqual(found[0], runs.Job(0, 1, "add_lat", 160, 64, 4096, 0))
        self.assertEqual((len(found), count), (2, 7))

    def test_blocks(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
            listed.write("# bytes instructions source\n4801d8 1 a.elf f\n90 3 b g h\n")
            listed.flush()
            self.assertEqual(blocks.read_list(listed.name), [(b"\x48\x01\xd8", 1, "a.elf f"), (b"\x90", 3, "b g h")])
        self.assertEqual(blocks.copies(b"\x90" * 3, 3), 334)
        self.assertEqual(blocks.copies(b"\x90" * 240, 60), 17)
        self.assertEqual(blocks.copies(b"\x90" * 240, 1), 29)

    def test_operands_of_their_own_place_are_moved(self):
        self.assertEqual(cut.absolute(bytes.fromhex("488b05d0f20000"), "mov 0xf2d0(%rip),%rax # 12348 <x>"),
                         bytes.fromhex("488b042548533412"))
        self.assertEqual(cut.absolute(bytes.fromhex("f20f5805d0f20000"), "addsd 0xf2d0(%rip),%xmm0 # 1010"),
                         bytes.fromhex("f20f58042510503412"))
        self.assertEqual(cut.absolute(b"\x48\x01\xd8", "add %rbx,%rax"), b"\x48\x01\xd8")


def row(name, native, model):
    return report.Row(name, native, 0.0, model, stats.error(model, native))


class Gates(unittest.TestCase):
    def test_tier_1(self):
        good = [row("a", 1.0, 1.0), row("b", 2.0, 2.0), row("c", 1.0, 1.04)]
        self.assertEqual([g.met for g in report.gates(1, good, {}, {}, {})], [True, True])
        bad = good[:1] + [row("d", 1.0, 1.06), row("e", 1.0, 0.98)]
        self.assertEqual([g.met for g in report.gates(1, bad, {}, {}, {})], [False, False])

    def test_tier_2(self):
        here = {f"tlb_4K_{n}": {"cycles": 4.0 if n <= 64 else 11.0} for n in (8, 64, 72, 128)}
        there = {f"tlb_4K_{n}": {"cycles": 4.0 if n <= 72 else 11.0} for n in (8, 64, 72, 128)}
        rows = [row("chase_2M_16", 4.0, 4.0), row("chase_2M_65536", 400.0, 100.0)]
        self.assertEqual([(g.met, g.measured) for g in report.gates(2, rows, here, there, {})][1], (False, "72"))
        self.assertEqual([g.met for g in report.gates(2, rows, here, here, {})], [True, True])

    def test_tier_3(self):
        rows = [row("0", 1.0, 1.1), row("1", 2.0, 2.0), row("2", 3.0, 3.0)]
        peer = {"znver4": {"0": 1.0, "1": 3.0, "2": 2.0}}
        self.assertEqual([g.met for g in report.gates(3, rows, {}, {}, peer)], [True, True])
        self.assertEqual(report.gates(3, rows, {}, {}, {}), [])

    def test_tier_4(self):
        rows = [row("a", 100.0, 110.0), row("b", 200.0, 150.0), row("c", 300.0, 290.0)]
        self.assertEqual([g.met for g in report.gates(4, rows, {}, {}, {})], [True, True])
        self.assertEqual([g.met for g in report.gates(4, rows + [row("d", 50.0, 300.0)], {}, {}, {})], [False, False])


class Sensitivity(unittest.TestCase):
    SOME = [conclusions.Conclusion("c", "", "", "g", [("a", 1)], [("b", 0.5)]),
            conclusions.Conclusion("d", "", "", "g,h", [("a", 1), ("b", 1)], [("", 40)])]

    def test_medians_are_of_warm_samples(self):
        text = "samples a cold 9\nsamples a warm 3 1 2 4\nok\nsamples b warm 7\n"
        self.assertEqual(sensitivity.medians(text), {"a": 2, "b": 7})

    def test_a_verdict_and_its_flip(self):
        found = [sensitivity.Run("", "default", {}, {"a": 4, "b": 10}),
                 sensitivity.Run("p", "+50 %", {"k": 3}, {"a": 6, "b": 10})]
        turned = list(sensitivity.flips(found, self.SOME))
        told = [(name, setting, c.name, before.holds, now.holds) for name, setting, c, before, now in turned]
        self.assertEqual(told, [("p", "+50 %", "c", True, False)])
        self.assertEqual(sensitivity.moved(found[1], found[0].figures), (1, "a", 0.5))
        self.assertEqual(sensitivity.groups_of(self.SOME), ["g", "h"])
        known = sensitivity.verdicts_of(sensitivity.tsv_lines(found, self.SOME))
        keys = [("-", "default", "c"), ("p", "+50 %", "c"), ("p", "+50 %", "d")]
        self.assertEqual([known[key] for key in keys], ["yes", "no", "yes"])

    def test_numbers_are_changed_together_and_never_to_nothing(self):
        parameter = conclusions.Parameter("p", ["a", "b"], "")
        self.assertEqual(sensitivity.changed(parameter, {"a": 5, "b": 1}, 0.5), {"a": 2, "b": 1})
        self.assertRaises(runs.Failure, sensitivity.changed, parameter, {"a": 5}, 0.5)

    def test_every_conclusion_has_a_group_of_the_scenario(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scenarios/bench-kernel.lua")
        with open(path, encoding="utf-8") as scenario:
            text = scenario.read()
        for group in sensitivity.groups_of(conclusions.CONCLUSIONS):
            self.assertIn(f'group("{group}"', text)

    def test_a_derived_machine_is_the_file_and_its_changes(self):
        text = derived.text("return {}\n", "new", {"ipi_cycles": 3, "class.CR3.latency": 4})
        self.assertIn("return {}\n", text)
        self.assertIn('set(machine.parameters, "ipi_cycles", 3)\nset_latency("CR3", 4)\nreturn machine\n', text)


if __name__ == "__main__":
    unittest.main()
