"""What parse remembers is the newest, and bounded."""

from parse_builders import make_completion, make_rules

from stages.parse.memory import MAX_JOBS, MAX_SESSIONS, Jobs, Sessions


def test_a_job_ends_once() -> None:
    jobs = Jobs()
    assert [jobs.ended("a"), jobs.ended("b"), jobs.ended("a")] == [False, False, True]


def test_the_job_that_ended_longest_ago_is_forgotten_first() -> None:
    jobs = Jobs()
    for number in range(MAX_JOBS + 1):
        jobs.ended(str(number))
    assert [jobs.ended("1"), jobs.ended("0")] == [True, False]


def test_the_session_that_was_used_longest_ago_is_forgotten_first() -> None:
    sessions = Sessions()
    for number in range(MAX_SESSIONS):
        sessions.update(make_rules(session=str(number)))[0].published = 1
    sessions.update(make_rules(session="0"))
    sessions.update(make_rules(session="one more"))
    assert sessions.update(make_rules(session="0"))[0].published == 1
    assert sessions.update(make_rules(session="1"))[0].published == 0


def test_an_outcome_that_is_not_the_newest_is_no_news() -> None:
    sessions = Sessions()
    first, second = make_rules(), make_rules()
    news = [sessions.update(rules)[1] for rules in (first, second, first, second)]
    assert news == [True, True, False, False]
    assert sessions.update(first)[0].newest is second


def test_an_answer_is_early_until_its_rules_have_come() -> None:
    sessions = Sessions()
    first, asked = make_rules(), make_rules()
    session, _ = sessions.update(first)
    early = make_completion("{}", asked)
    session.early.append(early)
    assert (session.awaits(first), session.awaits(asked), session.overtaken()) == (False, True, [])
    sessions.update(asked)
    assert [session.overtaken(), session.overtaken()] == [[early], []]


def test_a_rule_outcome_is_the_newest_by_its_number_even_if_epoch_and_time_began_anew() -> None:
    sessions = Sessions()
    sessions.update(make_rules(epoch=4, t=50.0))
    session, news = sessions.update(make_rules(epoch=0, t=1.0))
    assert (news, session.newest.epoch) == (True, 0)
