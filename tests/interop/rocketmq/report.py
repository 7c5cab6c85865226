"""Prints each check as it is made, and counts."""

import time

VISIBLE_WITHIN = 45
MOST_SHOWN = 8


class Report:
    """Each line begins with `name`, since several runs print at once."""

    def __init__(self, name: str):
        self.name, self.begin, self.good, self.bad = name, time.monotonic(), 0, 0

    def say(self, text: str) -> None:
        print(f"[{self.name} {time.monotonic() - self.begin:5.1f} s] {text}", flush=True)

    def result(self, name: str, wrong: list[str]) -> None:
        if not wrong:
            self.good += 1
            self.say(f"ok      {name}")
            return
        self.bad += 1
        shown = "".join(f"\n          {text[:600]}" for text in wrong[:MOST_SHOWN])
        self.say(f"FAILED  {name}: {len(wrong)}{shown}")

    def part(self, name: str, run, *arguments) -> None:
        """A part that cannot go on is one failure; those that follow are run nevertheless."""
        try:
            run(*arguments)
        except (OSError, RuntimeError) as error:
            self.result(name, [f"{type(error).__name__}: {error}"])

    def once(self, name: str, check, *arguments) -> None:
        self.result(name, _tried(check, arguments))

    def within(self, name: str, check, *arguments) -> None:
        """Repeats a check until it is good or a message had time enough to become visible."""
        end = time.monotonic() + VISIBLE_WITHIN
        while (wrong := _tried(check, arguments)) and time.monotonic() < end:
            time.sleep(0.5)
        self.result(name, wrong)


def _tried(check, arguments) -> list[str]:
    try:
        return check(*arguments) or []
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        return [f"{type(error).__name__}: {error}"]
