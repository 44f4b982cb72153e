"""Jobs to a backend, and their answers."""

from pipeline.messages import PromptJob
from stages.inference.backend import Answer, Backend


def finish(backend: Backend) -> dict[str, Answer]:
    """The answers to all jobs at work, by the jobs' ids; each is answered once."""
    answers: list[Answer] = []
    while backend.active:
        answers += backend.step()
    by_id = {answer.job_id: answer for answer in answers}
    assert len(by_id) == len(answers)
    return by_id


def ask(backend: Backend, *jobs: PromptJob) -> list[Answer]:
    """The answers to jobs that are admitted at one time, in the order of the jobs."""
    for job in jobs:
        backend.admit(job)
    answers = finish(backend)
    assert len(answers) == len(jobs)
    return [answers[job.job_id] for job in jobs]
