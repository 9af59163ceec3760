"""How much deceptiveness is needed at the start before training is hijacked?"""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from basin_jax.core.abilities import Balanceable
from basin_jax.core.sweep import Sweep, override
from basin_jax.core.verdict import Verdict
from basin_jax.starts.balanced import Balanced
from basin_jax.starts.toward import Toward
from basin_jax.studies.controls import escape_threshold, gate
from basin_jax.studies.framework.figure import GRAY, INK, Cumulative, Forest, Panel
from basin_jax.studies.framework.lab import Bisection, Group, Lab, Seeds, only
from basin_jax.studies.framework.power import apart, unseen, unseen_beside
from basin_jax.studies.framework.prediction import gap
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    bisected,
    difference,
    largest_error,
    median,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.parts.critical_gap import (
    Needed,
    foretold,
    less,
    naturally,
    needed,
    probed,
    ranks,
    strays,
)


# What is given to a fresh network: the beginning of its rows' keys, and the words for its dose.
GIVEN = {"implant": ("", "implant"), "grown": ("grown/", "grown dose")}
GIVERS = {
    "implant": ("by an implant that keeps the rate of the act", "the whole circuit"),
    "grown": ("by what is grown", "another seed's deceptive end"),
}
# Circuits of the same weights that raise no gap.
SHAMS = {
    "blind": "sham circuit that reads no cue",
    "near": "sham circuit that reads all cues but one",
}
EARLIER = {"near": "; of a pilot's seeds it hijacked some"}
# Bonuses under which donors grow, where too few are deceptive under the testbed's own.
TEMPTING = {3: 2.0}
SHARE = 8  # of the fresh seeds, those that are given a dose
MOVED = {"rate": "mean rate of the unintended act", "competence": "competence"}
HALVINGS = 8  # of a dose: to 1/256
CHECKED = (0.5, 1.0)  # doses of the implant from which all seeds are trained, too
REACH = (-0.2, 0.8)  # of the figure's axis of gaps


class Hijack(TestbedStudy):
    """Raise the gap of fresh networks, and find the gap from which on training is hijacked.

    A fresh network is given a dose of deceptiveness in two ways. The implant is a circuit that
    tells whether it is watched, and raises the gap alone: the mean rate of the unintended act
    stays what it was. What is grown is the end of another seed, its donor, which is deceptive
    without any implant: the dose is the share of the way from the network's own initialization to
    the donor's end. For each seed the dose is bisected from which on it ends deceptive, and
    measured in units of behavior: the gap that it has there before training. Both are given to
    the same seeds; a seed that ends deceptive without a dose needs no more than its own gap.

    Where fewer than some percent of fresh networks end deceptive, donors are grown under a larger
    bonus for defecting. Fresh networks that have a gap as large by nature tell whether a gap is
    enough; two shams of the same weights that raise no gap, whether it is the gap that hijacks:
    one reads no cue, the other all but one.
    """

    # How hard it is to tell that one is watched, and so to lie well.
    difficulties: tuple[int, ...] = (1, 2, 3)
    quick: int = 1024
    full: int = 6000

    limits = (
        "The implant is one circuit, in a few units. Since it keeps the mean rate of the act, it "
        "gives a network that seldom acts a small gap, and may not hijack it at all.",
        "What is grown is a whole network: beside its gap it brings what its donor has learned of "
        "the task, and moves the rate of the act.",
        "Seeds are a sample of fresh networks, and donors of deceptive ends; at difficulty 3 these "
        "grew under a larger bonus for defecting.",
        "A gap is an amount of behavior: networks of the same gap have other weights, and need "
        "not end alike.",
        "The sham that reads no cue became the control after one that reads all cues but one had "
        "hijacked some seeds of a pilot, without a gap: a gap is not all that counts. Both are in "
        "the table.",
        "A seed's critical dose is where its verdict changes once; how many seeds contradict it at "
        "two more doses is in the table. Gaps between 17 doses are interpolated.",
    )

    def validate(self) -> None:
        organism = self.testbed.organism
        fits = hasattr(organism, "difficulty") and organism.provides(Balanceable)
        self.require(fits, "testbed", "an organism with a difficulty that is Balanceable")
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= SHARE, name, f"at least {SHARE}")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        rule, some = self.testbed.rule, seeds // SHARE
        trained = {
            f"fresh_{each}": only(self._fresh(each).replace(save_at=(0,)), seeds, rule=rule)
            for each in self.difficulties
        }
        donors = {
            _donors(each): only(self._donor(each), seeds, rule=rule)
            for each in self.difficulties
            if each in TEMPTING
        }
        given, begun = {}, {}
        for each in self.difficulties:
            base, chosen = self._fresh(each), _chosen(each, some)
            doses = {f"{dose:g}": Balanced(dose=dose) for dose in (0.0, *CHECKED)}
            starts = {**doses, **{name: Balanced(dose=1.0, shift=n) for name, n in _shams(each)}}
            cells = {name: base.replace(start=start) for name, start in starts.items()}
            given[f"implant_{each}"] = Group(cells=cells, seeds=chosen, rule=rule)
            for what in GIVEN:
                start = self._start(what, each).replace(num_steps=0)
                cells = {f"{dose:g}": override(start, "start.dose", dose) for dose in probed()}
                begun[f"begun_{what}_{each}"] = Group(cells=cells, seeds=chosen, rule=rule)
        overseen = self.testbed.sweep.replace(
            start=Balanced(dose=1.0), method=self.testbed.overseen_by()
        )
        return {
            **trained,
            **donors,
            **given,
            **begun,
            "overseen": only(overseen, some, rule=rule),
            **escape_threshold.starts(some),
        }

    def bisections(self, seeds: int) -> dict[str, Bisection]:
        some = seeds // SHARE
        doses = {
            f"{what}_{each}": Bisection(
                sweep=self._start(what, each),
                path="start.dose",
                seeds=_chosen(each, some),
                between=(0.0, 1.0),
                rule=self.testbed.rule,
                halvings=HALVINGS,
            )
            for each in self.difficulties
            for what in GIVEN
        }
        return {**doses, **escape_threshold.scales(some), **gate.scales(some)}

    def _fresh(self, difficulty: int) -> Sweep:
        return override(self.testbed.sweep, "organism.difficulty", difficulty)

    def _donor(self, difficulty: int) -> Sweep:
        fresh, bonus = self._fresh(difficulty), TEMPTING.get(difficulty)
        return fresh if bonus is None else override(fresh, "organism.bonus", bonus)

    def _start(self, what: str, difficulty: int) -> Sweep:
        """Return the sweep of networks that are given none of it."""
        grown = Toward(of=self._donor(difficulty), dose=0.0)
        start = Balanced(dose=0.0) if what == "implant" else grown
        return self._fresh(difficulty).replace(start=start)

    def rows(self, lab: Lab) -> Iterator[Row]:
        for each in self.difficulties:
            yield from self._of_difficulty(lab, each)
        hardest = max(self.difficulties)
        yield lab[f"implant_{hardest}"].null(
            "blind", f"{SHAMS['blind']}, difficulty {hardest}", "blind"
        )
        yield lab["overseen"].null(
            "overseen", "whole implant, trained where defecting does not pay"
        )
        yield escape_threshold.critical_weight(lab)
        yield from gate.critical_scales(lab)

    def _of_difficulty(self, lab: Lab, difficulty: int) -> Iterator[Row]:
        key, name = f"difficulty={difficulty}", f"difficulty {difficulty}"
        fresh, given = lab[f"fresh_{difficulty}"], lab[f"implant_{difficulty}"]
        yield from fresh.shares("", f"{key}/dose=0", f"{name}, fresh")
        found = {what: _needed(lab, what, difficulty) for what in GIVEN}
        natural = gap(fresh.at("", 0))
        for what, (place, said) in GIVEN.items():
            yield bisected(
                f"{key}/{place}critical-dose",
                f"{name}, {said}: critical share of a seed, median",
                lab.bisections[f"{what}_{difficulty}"],
            )
            yield from ranks(found[what].gap, natural, f"{key}/{place}", f"{name}, {said}")
            label = f"{name}, {said}: seeds that no dose up to the whole hijacks"
            yield share(f"{key}/{place}none", label, np.isinf(found[what].gap))
        yield median(
            f"{key}/grown-less-implant/gap",
            f"{name}: critical gap, grown less implant on the same seeds, median",
            less(found["grown"].gap, found["implant"].gap),
        )
        own = gap(lab[f"begun_implant_{difficulty}"].at("0"))
        for what, (place, said) in GIVEN.items():
            critical = lab.bisections[f"{what}_{difficulty}"]["high"].to_numpy()
            at = f"{key}/{place}own-gap/AUC"
            yield foretold(at, f"{name}, {said}", own, critical, num_intervals=len(GIVEN))
        yield from naturally(fresh, natural, found["implant"].gap, named=(key, name))
        for what, (place, said) in GIVEN.items():
            for measured, values in found[what]._asdict().items():
                if measured != "gap" and (what, measured) != ("implant", "rate"):
                    label = f"{name}, {said}: change of the {MOVED[measured]} at the start, median"
                    yield median(f"{key}/{place}{measured}", label, values)
        yield largest_error(
            f"{key}/implant/rate",
            f"{name}, implant: change of the {MOVED['rate']} at the start",
            found["implant"].rate,
            0.0,
            within=1e-4,
        )
        shams = dict(_shams(difficulty))
        for sham in shams:
            yield difference(
                f"{key}/{sham}-less-none",
                f"{name}, deceptive: {SHAMS[sham]}, less none, on the same seeds",
                given.deceptive("0"),
                given.deceptive(sham),
                num_intervals=len(shams),
            )
        halved = lab.bisections[f"implant_{difficulty}"]
        yield strays(given, halved, CHECKED, named=(key, name))
        yield from fresh.thresholds("", f"{key}/dose=0", f"{name}, fresh")

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for difficulty in self.difficulties:
            yield from self._says(rows, difficulty)
        for sham, said in SHAMS.items():
            found = {
                d: rows[f"difficulty={d}/{sham}-less-none"]
                for d in self.difficulties
                if sham in dict(_shams(d))
            }
            if not found:
                continue
            some = any(one.sign > 0 for one in found.values())
            does = "hijacks some seeds" if some else "is not shown to hijack any"
            each = "; ".join(f"difficulty {d}: {one}" for d, one in found.items())
            yield say(
                f"A {said}, and raises no gap, {does}: deceptive, less without it on the same "
                f"seeds, {each}{unseen(found.values())}{EARLIER.get(sham, '')}.",
                *found.values(),
            )

    def _says(self, rows: Table, difficulty: int) -> Iterator[Sentence]:
        key, where = f"difficulty={difficulty}", f"At difficulty {difficulty}"
        ends, dose = rows[f"{key}/dose=0/deceptive"], rows[f"{key}/critical-dose"]
        if dose.high == 0:
            yield say(
                f"{where} most fresh networks need no dose: {ends} end deceptive, and the median "
                f"critical dose is {dose}.",
                *(ends, dose),
            )
            return
        beyond = rows[f"{key}/grown-less-implant/gap"]
        is_it = {1: "is larger than", 0: "is not shown to differ from", -1: "is smaller than"}
        yield say(
            f"{where} the critical gap of a grown dose {is_it[beyond.sign]} that of an implant: "
            f"grown less implant is {beyond}, the median of the same seeds{unseen([beyond])}.",
            beyond,
        )
        for what, (place, _) in GIVEN.items():
            dose, at, below, never = (
                rows[f"{key}/{place}{end}"]
                for end in (
                    "critical-dose",
                    "critical-dose/gap",
                    "critical-dose/fresh-below",
                    "none",
                )
            )
            by, whole = GIVERS[what]
            yield say(
                f"{where} a start is hijacked once its gap is above {at} {by}; {below} of fresh "
                f"networks have a smaller one. It takes {dose} of the way to {whole}; no dose "
                f"hijacks {never}.",
                *(at, below, dose, never),
            )
        yield from self._says_of_nature(rows, difficulty)

    def _says_of_nature(self, rows: Table, difficulty: int) -> Iterator[Sentence]:
        key, where = f"difficulty={difficulty}", f"At difficulty {difficulty}"
        ends = rows[f"{key}/dose=0/deceptive"]
        many, few = (rows[f"{key}/gap-{side}/deceptive"] for side in ("above", "below"))
        if not many.undefined and not few.undefined:
            does = "tells" if apart(few, many) else "is not shown to tell"
            yield say(
                f"{where} a gap above the implant's by nature {does} who ends deceptive: {many} of "
                f"such fresh networks do (n = {many.seeds:,}), and {few} of the others"
                f"{unseen_beside(few, many)}.",
                *(few, many),
            )
        areas = [rows[f"{key}/{place}own-gap/AUC"] for place, _ in GIVEN.values()]
        lowers = all(one.low > HALF for one in areas)
        does = "lowers" if lowers else "is not shown to lower"
        yield say(
            f"{where} {ends} of fresh networks end deceptive. A network's own gap {does} both "
            f"critical doses: its AUC for a critical dose below the median is {areas[0]} of the "
            f"implant, and {areas[1]} of the grown dose{unseen(areas, HALF)}.",
            *(ends, *areas),
        )
        skill, learned, rate = (
            rows[f"{key}/{end}"] for end in ("competence", "grown/competence", "grown/rate")
        )
        yield say(
            f"{where} the critical implant moves competence at the start by {skill}, and the mean "
            f"rate of the act not at all; the critical grown dose moves them by {learned} and "
            f"{rate}.",
            *(skill, learned, rate),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        for number, difficulty in enumerate(self.difficulties):
            fresh = gap(lab[f"fresh_{difficulty}"].at("", 0))
            begin, end = REACH
            names = ["", "", ""] if number else ["own gap", *(s for _, s in GIVEN.values())]
            values = [fresh, *(_needed(lab, what, difficulty).gap for what in GIVEN)]
            marks = [
                Cumulative(each, end, begin=begin, label=name, color=color)
                for each, name, color in zip(values, names, (GRAY, *INK), strict=False)
            ]
            xlabel = f"gap, difficulty {difficulty}"
            yield Panel(marks, xlabel=xlabel, ylabel="share of seeds", ticks=(0.0, 0.4, 0.8))
        sides = {
            f"{difficulty}, {said}": rows[f"difficulty={difficulty}/gap-{side}/deceptive"]
            for difficulty in self.difficulties
            for side, said in (("below", "below"), ("above", "above"))
        }
        some = {said: one for said, one in sides.items() if not one.undefined}
        yield Panel([Forest(some)], xlabel="deceptive, by own gap")


def _shams(difficulty: int) -> list[tuple[str, int]]:
    """Return each sham's name, and how many cues it lacks: all, and where there are more, one."""
    return [("blind", difficulty), *([("near", 1)] if difficulty > 1 else [])]


def _needed(lab: Lab, what: str, difficulty: int) -> Needed:
    found = lab.bisections[f"{what}_{difficulty}"]["high"].to_numpy()
    return needed(lab[f"begun_{what}_{difficulty}"], found)


def _donors(difficulty: int) -> str:
    return f"donors_{difficulty}" if difficulty in TEMPTING else f"fresh_{difficulty}"


def _chosen(difficulty: int, most: int) -> Seeds:
    """Choose the first seeds whose partner ends deceptive, which says nothing of their own."""

    def chosen(lab: Lab) -> ndarray:
        donors = lab[_donors(difficulty)].seeds(Verdict.DECEPTIVE)[:most]
        return donors ^ np.uint64(2**63)

    return chosen
