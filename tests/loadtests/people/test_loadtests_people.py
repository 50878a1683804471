from __future__ import annotations

import random
import statistics
import tomllib
from pathlib import Path

import pytest

from loadtests.people.population import Population, PopulationSpec, accounts, populate
from loadtests.people.presence import SETTLED_S, UNCHECKED_CALL_RATIO, CallPair, Presence, bits_of, union
from loadtests.plan.cooldown import COOLDOWN_S
from loadtests.plan.personas import load_personas, shares
from loadtests.plan.regions import load_regions

BOOK = load_personas()
MIX = BOOK.mixes["emerging_smoke"]


def people(count: int = 200, slots: int = 2, seed: int = 1) -> Population:
    return populate(PopulationSpec(count, 3, MIX, BOOK, slots, seed))


def test_the_seed_decides_everybody() -> None:
    assert people() == people()
    assert people(seed=1).people[0].password != people(seed=2).people[0].password


def test_the_mix_is_met_on_every_worker() -> None:
    population = people(400)
    for slot in (0, 1):
        own = population.of_slot(slot)
        for persona_id, share in shares(MIX).items():
            assert abs(sum(one.persona_id == persona_id for one in own) - share * len(own)) <= 1


def test_the_smoke_mix_is_an_emerging_market() -> None:
    by_generation = {"2g": 0.0, "3g": 0.0, "4g": 0.0, "": 0.0}
    generation = {"gprs_2g": "2g", "edge_275g": "2g", "umts_r99": "3g", "hspa_35g": "3g", "": ""}
    for persona_id, share in shares(MIX).items():
        by_generation[generation.get(BOOK.personas[persona_id].network, "4g")] += share
    assert by_generation == pytest.approx({"2g": 0.2, "3g": 0.3, "4g": 0.4, "": 0.1})


def test_every_persona_has_a_device_of_the_matrix() -> None:
    devices = tomllib.loads((Path(__file__).parents[3] / "device_matrix" / "devices.toml").read_text())
    known = {device["id"] for device in devices["devices"]}
    assert {persona.device for persona in BOOK.personas.values()} <= known


def test_followers_have_a_heavy_tail_and_nobody_is_alone() -> None:
    population = people(1000)
    followers = sorted(len(contacts) for contacts in population.contacts)
    assert followers[0] >= 6
    assert followers[-1] > 15 * statistics.median(followers)


def test_contacts_are_exactly_those_who_follow() -> None:
    population = people(60)
    for person in population.people:
        for contact in population.contacts[person.index]:
            assert person.index in population.following[contact]


def test_accounts_let_probes_call_each_other_both_ways() -> None:
    population = people(20)
    seed = accounts(population)
    assert len({user["name"] for user in seed["users"] if isinstance(user, dict)}) == len(seed["users"])
    for one, other in population.probes:
        assert [one.name, other.name] in seed["follows"]
        assert [other.name, one.name] in seed["follows"]


def test_probe_pairs_are_spread_in_the_order_in_which_users_are_dealt() -> None:
    population = people()
    turns = {slot: [population.probes.index(pair) for pair in population.probes_of_slot(slot)] for slot in (0, 1)}
    assert turns == {0: [0, 2, 4], 1: [1, 3, 5]}


def presence_of(population: Population, slot: int = 0) -> Presence:
    presence = Presence(population, slot)
    for person in population.of_slot(slot):
        presence.sign_in(person.index)
    others = [person.index for person in population.people if person.slot != slot]
    presence.receive(bits_of(others), b"")
    return presence


def test_a_call_goes_from_a_free_person_of_ours_to_a_free_contact() -> None:
    population = people()
    presence, rng = presence_of(population), random.Random(1)
    blind = 0
    busy: set[int] = set()
    for _ in range(60):
        pair = presence.pick(rng, 0.0)
        assert pair is not None
        assert population.people[pair.caller].slot == 0
        assert pair.callee in population.contacts[pair.caller]
        assert pair.caller not in busy
        blind += pair.callee in busy
        busy |= {pair.caller, pair.callee}
        presence.mark_busy(pair)
    assert blind <= 60 * UNCHECKED_CALL_RATIO * 4


def test_people_of_other_workers_are_called_too_and_spared_when_busy() -> None:
    population = people()
    presence, rng = presence_of(population), random.Random(2)
    others = {person.index for person in population.people if person.slot == 1}
    assert any(pair and pair.callee in others for pair in (presence.pick(rng, 0.0) for _ in range(50)))
    presence.receive(bits_of(sorted(others)), bits_of(sorted(others)))
    hits = sum(bool((pair := presence.pick(rng, 0.0)) and pair.callee in others) for _ in range(200))
    assert hits <= 200 * UNCHECKED_CALL_RATIO * 3


def test_a_person_rests_after_a_call() -> None:
    population = people(4, slots=1)
    presence = Presence(population, 0)
    caller = population.people[0].index
    callee = population.contacts[caller][0]
    for index in (caller, callee):
        presence.sign_in(index)
    pair = CallPair(caller, callee)
    presence.mark_busy(pair)
    presence.mark_free(pair, now_s=10.0)
    rng = random.Random(UNCHECKED_CALL_RATIO)
    assert presence.pick(rng, 10.0 + COOLDOWN_S / 2) is None
    assert presence.to_wire(10.0 + COOLDOWN_S / 2)[1] == bits_of([caller, callee])
    assert presence.pick(rng, 10.1 + COOLDOWN_S) is not None
    assert presence.to_wire(10.1 + COOLDOWN_S)[1] == b""


def test_nobody_online_means_nobody_is_found() -> None:
    assert Presence(people(), 0).pick(random.Random(1), 0.0) is None


def test_signing_out_takes_exactly_one_person_away() -> None:
    population = people(30, slots=1)
    presence = presence_of(population)
    gone = [person.index for person in population.people[::3]]
    for index in gone:
        presence.sign_out(index)
        presence.sign_out(index)
    assert presence.online == len(population.people) - len(gone)
    assert presence.to_wire(0.0)[0] == bits_of([one.index for one in population.people if one.index not in gone])


def test_bit_sets_unite() -> None:
    assert union([bits_of([0, 9]), bits_of([3]), b""]) == bits_of([0, 3, 9])
    assert union([]) == b""


def test_a_region_gives_everybody_their_network_and_leaves_the_persona_its_habits() -> None:
    region = load_regions()["nigeria"]
    plain = people(600)
    there = populate(PopulationSpec(600, 3, MIX, BOOK, 2, 1, region=region))
    assert [one.persona_id for one in there.people] == [one.persona_id for one in plain.people]
    assert there.contacts == plain.contacts
    for slot in (0, 1):
        own = there.of_slot(slot)
        for profile_id, share in region.shares.items():
            assert abs(sum(one.network == profile_id for one in own) - share * len(own)) <= 1
    assert {one.network for pair in there.probes for one in pair} == {""}, "probes judge the load, not a link"
    met = {(one.persona_id, one.network) for one in there.people}
    assert len(met) > 2 * max(len(region.weights), len(MIX.weights)), "a persona is not tied to a network"


def test_without_a_region_everybody_has_their_personas_network() -> None:
    assert all(one.network == one.persona.network for one in people().people)


def test_pasts_follow_zipf_and_belong_to_the_popular() -> None:
    population = populate(PopulationSpec(400, 0, MIX, BOOK, 2, 1, missed_calls=1000, threads=10_000))
    assert [(past.missed_calls, past.threads) for past in population.histories[:3]] == [
        (1000, 10_000), (500, 5000), (333, 3333),
    ]  # fmt: skip
    assert population.histories[-1].threads >= 10
    followers = [len(population.contacts[past.index]) for past in population.histories[:5]]
    everybody = sorted(map(len, population.contacts), reverse=True)
    assert max(followers) == everybody[0], "the creator whom most people follow is the one who missed most calls"
    seed = accounts(population)
    assert seed["pasts"][0] == {
        "name": population.people[population.histories[0].index].name, "missed_calls": 1000, "threads": 10_000,
    }  # fmt: skip


def test_nobody_has_a_past_unless_the_plan_says_so() -> None:
    assert people().histories == ()
    assert accounts(people(20))["pasts"] == []


def test_busy_is_called_where_somebody_is_deep_in_a_call() -> None:
    population = people()
    presence, rng = presence_of(population), random.Random(5)
    assert presence.pick(rng, 0.0, "busy") is None, "nobody is in a call"
    talking = presence.pick(rng, 0.0)
    assert talking is not None
    presence.mark_busy(talking, 0.0, talk_s=20.0)
    assert presence.pick(rng, SETTLED_S / 2, "busy") is None, "their call has only just begun"
    found = presence.pick(rng, 10.0, "busy")
    assert found is not None
    assert found.callee in (talking.caller, talking.callee)
    assert found.caller not in (talking.caller, talking.callee)
    assert presence.pick(rng, 20.0 - SETTLED_S / 2, "busy") is None, "their call is about to end"
    presence.mark_free(talking, 12.0)
    assert presence.pick(rng, 12.5, "busy") is None


def test_glare_takes_two_who_may_both_call_each_other() -> None:
    population = people()
    presence, rng = presence_of(population), random.Random(6)
    for _ in range(100):
        pair = presence.pick(rng, 0.0, "glare")
        assert pair is not None
        assert pair.callee in population.contacts[pair.caller]
        assert pair.caller in population.contacts[pair.callee]
