"""The one way in which tests and tools here wait for something: they look again until it is so."""
import time


def wait_for(holds, seconds, text=lambda: "condition", every=0.05):
    """Looks again until `holds()` answers something true, which is returned; TimeoutError (an OSError) with `text()` after `seconds`.

    What `holds` raises ends the wait: a condition that can no longer come should say so and not be waited for."""
    end = time.monotonic() + seconds
    while not (answer := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {text()}")
        time.sleep(every)
    return answer
