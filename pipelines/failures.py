"""What a user reads when a job fails."""

import logging

from .decode import is_out_of_memory
from .errors import StudioError

log = logging.getLogger(__name__)


def sentence(error: Exception, job: str) -> str:
    """What the user reads; what is a bug goes to the log with its traceback."""
    if isinstance(error, StudioError):
        return str(error)
    if is_out_of_memory(error):
        log.warning("Job %s ran out of memory", job, exc_info=error)
        return "There is not enough memory for this job; choose a smaller size or fewer pictures."
    log.error("Job %s failed unexpectedly", job, exc_info=error)
    reason = str(error).strip().splitlines()
    return f"The engine failed on this job ({type(error).__name__}: {reason[0][:200] if reason else 'no reason given'})."
