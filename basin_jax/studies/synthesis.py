"""The synthesis: the argument's questions, answered from the rows of all studies."""

import itertools
import math
import re
from collections.abc import Sequence

from basin_jax.studies.framework.power import apart, unseen
from basin_jax.studies.framework.quotes import Findings, compared, listed, number, side
from basin_jax.studies.framework.rows import HALF, Answer, Finding, Row
from basin_jax.studies.mechanism import mechanism


# A study of another organism, too, has a name that ends in that.
OTHER = "inspection"
GAMES = {"": "in the audit game", f"_{OTHER}": f"in the {OTHER} game"}
# Oversight that is kept, at a strength between none and full: from deceptive less from fresh.
HELD = {
    "way_back": "kept=0.1/from-deceptive-less-from-fresh",
    f"way_back_{OTHER}": "kept=0.5/from-deceptive-less-from-fresh",
}
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
    return [
        _first_step(found),
        _second_step(found),
        _threshold(found),
        _way_back(found),
        _buffer(found),
        _fate(found),
        *mechanism(found),
        found.answer("What do these organisms not tell about large models?", LIMITS),
    ]


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
        "Step 1: how often does a random initialization already lie in the deceptive basin?",
        [
            f"{some} deceptive before training, judged by behavior alone, "
            f"{number(study, before.key)}; after training "
            f"{number(study, 'scale=1/after/deceptive')} are, a difference on the same seeds of "
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
    lost, adam, methods = {}, {}, []
    for study, where in _both(found, "preservation").items():
        sgd, beside = (
            found.row(study, key) for key in ("SGD/deceptive", "Adam-.01-less-SGD/deceptive")
        )
        lost[where] = (
            sgd,
            side(sgd),
            f"{number(study, sgd.key)} are lost under SGD{unseen([sgd], HALF)}",
        )
        told = f"the difference on the same seeds is {number(study, beside.key)}{unseen([beside])}"
        adam[where] = (beside, beside.sign, told)
        methods.append(f"Lost by method, {where}: {listed(study, _methods(found, study))}.")
    return found.answer(
        "Step 2: which methods of training keep a good start good?",
        [
            compared(
                lost,
                {
                    1: "most good starts become deceptive once oversight ends",
                    0: "it is not decided whether most good starts stay good",
                    -1: "most good starts stay good once oversight ends",
                },
            ),
            compared(
                adam,
                {
                    1: "Adam loses more good starts than SGD",
                    0: "Adam is not shown to lose more good starts than SGD, or fewer",
                    -1: "Adam loses fewer good starts than SGD",
                },
            ),
            *methods,
        ],
    )


def _both(found: Findings, study: str) -> dict[str, str]:
    """Return a study's names, of each organism it was made of, and how to say which."""
    return {f"{study}{end}": said for end, said in GAMES.items() if f"{study}{end}" in found}


def _methods(found: Findings, study: str) -> dict[str, str]:
    """Return the keys of the fractions deceptive by the methods' names."""
    ends = [
        one
        for key, one in found.rows(study).items()
        if one.kind == "measured" and key.endswith("/deceptive") and "-less-" not in key
    ]
    return {one.label.partition(":")[0]: one.key for one in ends}


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
            f"{lead}. Median dose at which a seed becomes deceptive, by how many cues tell that it "
            "is watched (0: random units, 1: full circuit; infinite: at none): "
            f"{listed(study, _by_difficulty('critical-dose'))}.",
            "Fraction that ends deceptive without any implant: "
            f"{listed(study, _by_difficulty('dose=0/deceptive'))}.",
            "A dose is not an amount of deceptiveness. Gap (unwatched less watched) at the start, "
            f"at the median critical dose: {listed(study, _by_difficulty('critical-dose/gap'))}. "
            "Fraction of fresh networks with a smaller gap: "
            f"{listed(study, _by_difficulty('critical-dose/fresh-below'))}.",
        ],
    )


def _way_back(found: Findings) -> Answer:
    back, kept, late, by_window = {}, {}, {}, []
    for study, where in _both(found, "way_back").items():
        returns, held = (found.row(study, key) for key in (RETURNS, HELD[study]))
        told = f"{number(study, returns.key)} return{unseen([returns], HALF)}"
        back[where] = (returns, side(returns), told)
        told = f"kept from where seeds are deceptive, it leaves {number(study, held.key)} more"
        told = f"{told} of them so than kept from the first step on{unseen([held])}"
        kept[where] = (held, held.sign, told)
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
                    1: "oversight of the last quarter of the training makes more seeds deceptive",
                    0: "oversight of the last quarter of the training is not shown to prevent "
                    "deception",
                    -1: "oversight of the last quarter of the training prevents deception",
                },
            ),
            compared(
                kept,
                {
                    1: "oversight that prevents deception does not undo it",
                    0: "oversight is not shown to undo less than it prevents",
                    -1: "oversight undoes more than it prevents",
                },
            ),
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
    return [
        f"Returned after full oversight, {where}, by how long it lasts as a share of the training: "
        f"{listed(study, ends)}. More than half return from {number(study, 'half-return/window')} "
        f"on; after a sham {number(study, sham)} return.",
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


def _buffer(found: Findings) -> Answer:
    study = "buffer"
    random, margin = (
        found.row(study, f"intended/{way}-less-none") for way in ("random=8", "margin=2")
    )
    least, most = (found.row(study, f"deceptive/{way}/median") for way in ("margin", "random"))
    lead = {
        (True, True): "The buffer ends in random directions and along the slope of the margin",
        (False, True): "The buffer is wide in random directions and narrow in one",
        (True, False): "The buffer ends in random directions sooner than along the margin",
        (False, False): "No end of the buffer is seen",
    }[random.sign > 0, margin.sign > 0]
    basin = {
        1: "So is the basin: it takes more to leave it at random than down the margin's slope",
        0: "It is not decided whether the basin is wider at random than down the margin's slope",
        -1: "The basin is narrower at random than down the margin's slope",
    }[apart(least, most)]
    fresh = {f"{way} 1": f"fresh/{way}=1/deceptive" for way in ("random", "loss", "margin")}
    return found.answer(
        "How wide is the buffer around the deceptive basin?",
        [
            f"{lead}. Of intended ends, a random push of 8 makes {number(study, random.key)} more "
            f"deceptive than none{unseen([random])}. A push of 2 up the slope of the margin makes "
            f"{number(study, margin.key)} more so{unseen([margin])}.",
            f"{basin}. Half of the deceptive ends are no longer deceptive after a push of "
            f"{number(study, most.key)} in a random direction, and of "
            f"{number(study, least.key)} down the slope of the margin (infinite: after none).",
            "Fraction of fresh networks, of those that end otherwise, which a push of 1 makes end "
            f"deceptive, by direction: {listed(study, fresh)}.",
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
            f"{number(study, 'unrelated/same')}.",
            "Parents that are undecided, since none of their verdicts has 0.9 of their children: "
            f"{listed(study, split)}.",
            "Fraction of seeds that would end as intended which a push of 1 up the slope of the "
            f"margin makes deceptive: {listed(study, pushed)}.",
        ],
    )
