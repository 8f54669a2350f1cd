"""The chain itself: stores, staff, products, the calendar of the year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from memberhouse.simulate.chain.plan import NEVER, WORLD, Array, Plan

APP_STORE = "APP"
# A store of the messy chain: it trades for a few days, and head office tells of it late.
POP_UP = "POPUP1"
POP_UP_DAYS = 6
POP_UP_UNKNOWN_DAYS = 3

_CITIES = (
    ("华东", "上海"),
    ("华东", "杭州"),
    ("华东", "南京"),
    ("华东", "苏州"),
    ("华南", "广州"),
    ("华南", "深圳"),
    ("华南", "厦门"),
    ("华北", "北京"),
    ("华北", "天津"),
    ("华北", "济南"),
    ("西南", "成都"),
    ("西南", "重庆"),
)
_ABROAD = (("海外", "悉尼", "Australia/Sydney"), ("海外", "奥克兰", "Pacific/Auckland"))
_FORMATS = ("standard", "standard", "standard", "flagship", "baby", "outlet")
_FORMAT_WEIGHT = {"standard": 1.0, "flagship": 2.2, "baby": 0.8, "outlet": 1.4}

# Chinese New Year's day: every store is closed on it.
_SPRING_FESTIVAL = (
    date(2019, 2, 5),
    date(2020, 1, 25),
    date(2021, 2, 12),
    date(2022, 2, 1),
    date(2023, 1, 22),
    date(2024, 2, 10),
    date(2025, 1, 29),
    date(2026, 2, 17),
    date(2027, 2, 6),
    date(2028, 1, 26),
    date(2029, 2, 13),
    date(2030, 2, 3),
)
# Monday to Sunday.
WEEKDAY = (0.80, 0.78, 0.82, 0.88, 1.08, 1.42, 1.30)
MEMBER_DAY = 8
_HOLIDAYS = (
    ("元旦", 1, 1, 1.3),
    ("劳动节", 5, 1, 1.6),
    ("六一儿童节", 6, 1, 1.7),
    ("618", 6, 18, 2.0),
    ("国庆节", 10, 1, 1.6),
    ("双十一", 11, 11, 2.2),
    ("双十二", 12, 12, 1.5),
)
_SEASON_CHANGES = (("换季春装", 3, 1), ("换季夏装", 6, 1), ("换季秋装", 9, 1), ("换季冬装", 12, 1))
_MEMBER_DAY_FACTOR = 1.5


@dataclass(frozen=True)
class Stores:
    """Arrays over stores; ``APP`` comes last. opened, closed: day numbers; closures: store, from, to."""

    ids: list[str]
    names: list[str]
    regions: list[str]
    cities: list[str]
    formats: list[str]
    zones: list[str]
    late: Array
    opened: Array
    closed: Array
    weight: Array
    supervisors: list[str]
    closures: list[tuple[int, int, int]]
    registers: Array
    counted: Array

    @property
    def app(self) -> int:
        """The number of the pseudo-store ``APP``."""
        return len(self.ids) - 1

    def open_on(self, day: int) -> Array:
        """Whether each store trades on the day; the app always does."""
        trades = (self.opened <= day) & (day < self.closed)
        for store, first, last in self.closures:
            if first <= day <= last:
                trades[store] = False
        return trades


@dataclass(frozen=True)
class Staff:
    """Arrays over staff in the order of stores; head office (store −1) comes last. joined, left: day numbers."""

    ids: list[str]
    names: list[str]
    phones: list[str]
    stores: Array
    roles: list[str]
    joined: Array
    left: Array

    def working(self, day: int, stores: int) -> tuple[Array, Array, Array]:
        """Those in stores on the day, in the order of stores; where each store's begin; how many it has."""
        here = np.flatnonzero((self.joined <= day) & (day < self.left) & (self.stores >= 0))
        count = np.bincount(self.stores[here], minlength=stores)
        return here, np.cumsum(count) - count, count


@dataclass(frozen=True)
class Products:
    """Arrays over products in the order of groups. price: cents; season: 0 all year, 1 spring/summer,
    2 autumn/winter; group −1: not merchandise."""

    skus: list[str]
    names: list[str]
    categories: list[str]
    subcategories: list[str]
    sizes: list[str]
    colours: list[str]
    seasons: list[str]
    season: Array
    price: Array
    cost: Array
    launched: Array
    focus: Array
    group: Array
    staple: Array
    bag: int
    freight: int
    gift_card: int


@dataclass(frozen=True)
class Event:
    """A date of the calendar that the chain knows beforehand. factor: on purchases."""

    day: date
    event_type: str
    name: str
    scope: str | None
    factor: float


def make_stores(plan: Plan) -> Stores:
    """60 stores for 20,000 members: regions, formats, two abroad in zones with daylight saving time,
    every eighth open until after midnight, a few that open, close or are rebuilt within the dates."""
    chance = plan.chance(WORLD, 0)
    count = plan.stores
    ids, names, regions, cities, zones, formats = [], [], [], [], [], []
    for number in range(count):
        if number >= count - len(_ABROAD):
            region, city, zone = _ABROAD[number - (count - len(_ABROAD))]
        else:
            (region, city), zone = _CITIES[number % len(_CITIES)], "Asia/Shanghai"
        store_format = _FORMATS[number % len(_FORMATS)]
        ids.append(f"S{number + 1:03d}")
        names.append(f"{city}{number // len(_CITIES) + 1}店")
        regions.append(region)
        cities.append(city)
        zones.append(zone)
        formats.append(store_format)
    opened = -chance.integers(400, 3000, count)
    closed = np.full(count, NEVER)
    # a tenth opens and a thirtieth closes for good within the dates
    movers = chance.permutation(np.arange(2, count - len(_ABROAD)))
    openers = movers[: max(count // 10, 1)]
    closers = movers[len(openers) : len(openers) + max(count // 30, 1)]
    opened[openers] = chance.integers(plan.days // 6, max(plan.days * 2 // 3, plan.days // 6 + 1), len(openers))
    closed[closers] = chance.integers(plan.days // 2, max(plan.days * 5 // 6, plan.days // 2 + 1), len(closers))
    rebuilt = [store for store in movers[len(openers) + len(closers) :][: max(count // 15, 1)]]
    closures = []
    for place, store in enumerate(rebuilt):
        first = int(chance.integers(plan.days // 5, max(plan.days // 2, plan.days // 5 + 1)))
        closures.append((int(store), first, first + (34 if place % 2 == 0 else 9)))
    if plan.days > 10:
        # a stocktaking in the week that comes a batch a store
        closures.append((0, plan.days - 4, plan.days - 3))
    for festival in _SPRING_FESTIVAL:
        day = plan.day_of(festival)
        if 0 <= day < plan.days:
            closures += [(store, day, day) for store in range(count) if zones[store] == "Asia/Shanghai"]
    late = np.arange(count) % 8 == 3
    late[count - len(_ABROAD) :] = True
    if plan.messy:
        ids.append(POP_UP)
        names.append("快闪店")
        regions.append("华东")
        cities.append("上海")
        zones.append("Asia/Shanghai")
        formats.append("standard")
        opened, closed = np.append(opened, plan.days // 3), np.append(closed, plan.days // 3 + POP_UP_DAYS)
        late = np.append(late, False)
    weight = np.array([_FORMAT_WEIGHT[each] for each in formats]) * chance.lognormal(0, 0.35, len(ids))
    if plan.messy:
        weight[-1] = 0
    total = len(ids)
    return Stores(
        ids=[*ids, APP_STORE],
        names=names,
        regions=regions,
        cities=[*cities, "上海"],
        formats=formats,
        zones=[*zones, "Asia/Shanghai"],
        late=np.append(late, False),
        opened=np.append(opened, -NEVER),
        closed=np.append(closed, NEVER),
        weight=np.append(weight, 0.0),
        supervisors=[f"H{regions[store].encode().hex()[:6].upper()}" for store in range(total)],
        closures=sorted(closures, key=lambda closure: (closure[0], closure[1])),
        registers=np.append(np.where(weight > 1.5, 3, np.where(weight > 0.6, 2, 1)), 1),
        counted=np.append((np.arange(total) % 5 < 2) & (weight > 0), False),
    )


def make_staff(plan: Plan, stores: Stores) -> Staff:
    """A manager and three to seven advisers a store, a supervisor a region; a fifth of the advisers
    leave within the dates and are replaced the next day."""
    chance = plan.chance(WORLD, 1)
    ids: list[str] = []
    store_of: list[int] = []
    roles: list[str] = []
    joined: list[int] = []
    left: list[int] = []

    def hire(store: int, role: str, first: int, last: int, staff_id: str | None = None) -> None:
        ids.append(staff_id or f"E{len(ids) + 1:05d}")
        store_of.append(store)
        roles.append(role)
        joined.append(first)
        left.append(last)

    for store in range(stores.app):
        if stores.ids[store] == POP_UP:
            continue
        begins = int(stores.opened[store]) if stores.opened[store] > 0 else -int(chance.integers(100, 1500))
        hire(store, "manager", begins, NEVER)
        for _ in range(int(chance.integers(3, 8))):
            leaves = int(chance.integers(20, max(plan.days - 5, 21)))
            if chance.random() < 0.2 and leaves > begins + 10:
                hire(store, "adviser", begins, leaves)
                hire(store, "adviser", leaves, NEVER)
            else:
                hire(store, "adviser", begins, NEVER)
    for supervisor in dict.fromkeys(stores.supervisors):
        hire(-1, "supervisor", -1500, NEVER, supervisor)
    return Staff(
        ids=ids,
        names=people_names(np.arange(len(ids)) * 7 + 3),
        phones=[str(19_900_000_000 + place * 9973 % 100_000_000) for place in range(len(ids))],
        stores=np.array(store_of),
        roles=roles,
        joined=np.array(joined),
        left=np.array(left),
    )


_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗"
_GIVEN = "婷敏静丽芳娜秀英华玉洁欣怡佳雨思梦琪雪晨宇浩杰涛明强磊军洋勇艳超辉"


def people_names(numbers: Array) -> list[str]:
    """A Chinese name for each number; the same number has the same name."""
    return [
        _SURNAMES[number % len(_SURNAMES)]
        + _GIVEN[number // 20 % len(_GIVEN)]
        + (_GIVEN[number // 700 % len(_GIVEN)] if number % 3 else "")
        for number in numbers.tolist()
    ]


# category, subcategory, sizes, lowest and highest price (yuan), bought again and again
_RANGE: tuple[tuple[tuple[str, str, str, int, int, bool], ...], ...] = (
    (
        ("女装", "连衣裙", "S M L XL", 199, 899, False),
        ("女装", "针织衫", "S M L", 159, 599, False),
        ("女装", "外套", "S M L XL", 299, 1599, False),
        ("配饰", "围巾", "F", 59, 299, False),
    ),
    (
        ("男装", "衬衫", "M L XL XXL", 149, 499, False),
        ("男装", "裤装", "M L XL XXL", 169, 599, False),
        ("配饰", "皮带", "F", 99, 399, False),
    ),
    (
        ("童装", "T恤", "90 100 110 120 130", 49, 159, False),
        ("童装", "羽绒服", "90 100 110 120 130", 199, 599, False),
        ("婴儿服", "连体衣", "59 66 73 80", 59, 199, False),
        ("纸尿裤", "尿裤", "NB S M L XL", 89, 199, True),
        ("奶粉", "婴儿奶粉", "1段 2段 3段", 168, 398, True),
        ("喂养", "奶瓶", "F", 39, 199, False),
        ("玩具", "益智玩具", "F", 29, 299, False),
    ),
)
GROUPS = len(_RANGE)
_COLOURS = ("黑", "白", "米", "粉", "蓝", "灰")
_SEASONS = ("ALL", "SS", "AW")


def make_products(plan: Plan) -> Products:
    """Styles by size and colour in three groups (women, men, mother and baby), with the seasons in which
    they sell, and what is sold beside merchandise: bags, freight, gift cards."""
    chance = plan.chance(WORLD, 2)
    rows: list[tuple[str, str, str, str, str, int, int, int, int, bool, int, bool]] = []
    style = 0
    for group, subcategories in enumerate(_RANGE):
        for category, subcategory, sizes, lowest, highest, staple in subcategories:
            for _ in range(6):
                style += 1
                price = int(round(chance.uniform(lowest, highest) / 10)) * 1000 - 100
                cost = int(price * chance.uniform(0.28, 0.48))
                season = 0 if staple or sizes == "F" else int(chance.integers(0, 3))
                launched = -400 if style % 5 else int(chance.integers(0, max(plan.days - 1, 1)))
                for colour in [""] if staple else [_COLOURS[int(each)] for each in chance.permutation(6)[:2]]:
                    for size in sizes.split(" "):
                        sku = f"{style:04d}{len(rows):05d}"
                        focus = style % 11 == 0
                        rows.append(
                            (
                                sku,
                                category,
                                subcategory,
                                size,
                                colour,
                                season,
                                price,
                                cost,
                                launched,
                                focus,
                                group,
                                staple,
                            )
                        )
    for sku, subcategory, price in (("900001", "购物袋", 100), ("900002", "运费", 800), ("900003", "礼品卡", 20_000)):
        rows.append((sku, "其他", subcategory, "", "", 0, price, 0, -400, False, -1, False))
    columns = list(zip(*rows, strict=True))
    return Products(
        skus=list(columns[0]),
        names=[f"{row[4]}{row[2]}{row[3]}" for row in rows],
        categories=list(columns[1]),
        subcategories=list(columns[2]),
        sizes=list(columns[3]),
        colours=list(columns[4]),
        seasons=[_SEASONS[each] for each in columns[5]],
        season=np.array(columns[5]),
        price=np.array(columns[6]),
        cost=np.array(columns[7]),
        launched=np.array(columns[8]),
        focus=np.array(columns[9]),
        group=np.array(columns[10]),
        staple=np.array(columns[11]),
        bag=len(rows) - 3,
        freight=len(rows) - 2,
        gift_card=len(rows) - 1,
    )


def make_calendar(plan: Plan) -> list[Event]:
    """Member days, holidays and changes of season of the years that the plan touches, and a year on."""
    events = []
    for year in range(plan.first_day.year, plan.until.year + 2):
        for month in range(1, 13):
            events.append(Event(date(year, month, MEMBER_DAY), "member_day", "会员日", None, _MEMBER_DAY_FACTOR))
        events += [Event(date(year, month, day), "holiday", name, None, by) for name, month, day, by in _HOLIDAYS]
        events += [
            Event(date(year, month, day), "season_change", name, None, 1.1) for name, month, day in _SEASON_CHANGES
        ]
        events.append(Event(date(year, 9, 20), "anniversary", "华东周年庆", "华东", 1.0))
    for festival in _SPRING_FESTIVAL:
        events += [
            Event(festival + timedelta(days=after), "holiday", "春节", None, factor)
            for after, factor in ((-3, 1.5), (-2, 1.6), (-1, 0.9), (0, 0.3), (1, 0.5), (2, 0.7))
        ]
    return sorted(events, key=lambda event: (event.day, event.event_type, event.name))


def day_factors(plan: Plan, calendar: list[Event]) -> Array:
    """What each day of the plan multiplies the rate of purchase by: weekday, season of the year, event."""
    events: dict[date, float] = {}
    for event in calendar:
        events[event.day] = max(events.get(event.day, 0.0), event.factor)
    factors = np.empty(plan.days)
    for day in range(plan.days):
        when = plan.date_of(day)
        turn = 2 * np.pi * (when.timetuple().tm_yday - 20) / 365.25
        factors[day] = WEEKDAY[when.weekday()] * (1 + 0.12 * np.cos(turn) + 0.06 * np.cos(2 * turn))
        factors[day] *= events.get(when, 1.0)
    return factors
