"""What goes wrong, where and when: a pure function of a seed.

A *site* is a named place in the nightly step at which a fault can strike. `most` is how often a plan may count on
passing it: the undisturbed step passes it at least that often, which a test checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

PHASES = ("land", "load", "build", "gate", "publish")

WORKER, POSTGRES, SESSIONS = "kill worker", "kill postgres", "end sessions"
ANY = (WORKER, POSTGRES, SESSIONS)

OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Site:
    """A place where a fault can strike.

    phase: of PHASES. most: the last passage that a plan may ask for. kinds: what can happen there. slack: the
    most milliseconds until it happens. readers: the release that they see right afterwards, None: either.
    weight: how often it is drawn.
    """

    phase: str
    most: int = 1
    kinds: tuple[str, ...] = ANY
    slack: int = 0
    readers: str | None = OLD
    weight: int = 1


SITES = {
    # a file or manifest is written under a passing name, not in its place yet
    "mid-landing": Site("land", 8, (WORKER,)),
    "after-landing": Site("land", kinds=(WORKER, POSTGRES)),
    "loading": Site("load", slack=120, weight=2),
    "mid-copy": Site("load", 4, weight=3),
    "before-manifest-commit": Site("load", 4, weight=2),
    "after-manifest-commit": Site("load", 4, weight=2),
    "after-load": Site("load", kinds=(WORKER, POSTGRES)),
    "building": Site("build", slack=2_500, weight=3),
    "node-start": Site("build", 85, weight=2),
    "in-node": Site("build", 80, slack=150, weight=3),
    "node-finish": Site("build", 85, weight=2),
    "before-build-commit": Site("build", 2),
    "after-build": Site("build", kinds=(WORKER, POSTGRES)),
    "mid-check": Site("gate", 15, weight=2),
    "before-verdict-commit": Site("gate"),
    "after-verdict-commit": Site("gate"),
    "after-gate": Site("gate", kinds=(WORKER, POSTGRES)),
    "before-pointer": Site("publish", weight=2),
    "pointer-not-committed": Site("publish", weight=2),
    "pointer-committed": Site("publish", readers=NEW, weight=2),
}

# nothing is connected there, but `memberhouse run` holds the build lock all the while
BETWEEN_STEPS = ("after-load", "after-build", "after-gate")
# the ledger has no entry of a step there, or may not have it yet
OUTSIDE_STEPS = (*BETWEEN_STEPS, "mid-landing", "after-landing", "loading", "building", "pointer-committed")


@dataclass(frozen=True)
class Fault:
    """``kind`` happens ``delay`` milliseconds after the ``nth`` passage of ``site``."""

    site: str
    nth: int
    kind: str
    delay: int = 0

    @property
    def phase(self) -> str:
        return SITES[self.site].phase

    def __str__(self) -> str:
        when = f" + {self.delay} ms" if self.delay else ""
        return f"{self.kind} at {self.site} {self.nth}{when}"


@dataclass(frozen=True)
class Plan:
    """Faults, one attempt each, and then an attempt without.

    whole: every attempt is `memberhouse run`; otherwise each step is a command of its own, and an attempt goes on
    with the step that failed, as Airflow does. through: a fault before the build is followed up to publication,
    and not only until everything is loaded.
    """

    seed: int | None
    faults: tuple[Fault, ...]
    whole: bool = False
    through: bool = True

    def __str__(self) -> str:
        way = "memberhouse run" if self.whole else "step by step"
        end = "" if self.through else ", up to the load"
        return f"{', then '.join(map(str, self.faults))} ({way}{end})"


def plan_of(seed: int) -> Plan:
    """The plan that a seed stands for, today and tomorrow."""
    random = Random(seed)  # noqa: S311  (repeatable is what is wanted)
    whole = random.random() < 0.12
    first = _draw(random, PHASES, whole)
    faults = [first]
    if random.random() < 0.12 and (later := _phases_left(first, whole)):
        faults.append(_draw(random, later, whole))
    before_build = faults[-1].phase in ("land", "load")
    through = whole or not before_build or random.random() < 0.15
    return Plan(seed, tuple(faults), whole, through)


def _phases_left(fault: Fault, whole: bool) -> tuple[str, ...]:
    """The phases in which the attempt after this fault passes every site as often as an undisturbed one would."""
    if fault.site == "pointer-committed":
        return ()
    if fault.phase in ("land", "load"):
        return ("build",)
    if fault.site in BETWEEN_STEPS and not whole:
        return (PHASES[PHASES.index(fault.phase) + 1],)
    return (fault.phase,)


def _draw(random: Random, phases: tuple[str, ...], whole: bool) -> Fault:
    names = [name for name, site in SITES.items() if site.phase in phases]
    name = random.choices(names, [SITES[name].weight for name in names])[0]
    site = SITES[name]
    kinds = ANY if whole and name in BETWEEN_STEPS else site.kinds
    return Fault(name, random.randint(1, site.most), random.choice(kinds), random.randint(0, site.slack))
