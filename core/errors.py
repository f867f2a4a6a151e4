"""Everything that can go wrong, as one tree.

WorkbenchError
    BadInput              something a person or a file gave us cannot be used
        BadTemplate       a prompt template has an unknown, missing or broken slot
        BadPlan           a plan is incomplete or contradicts itself
        BadRows           rows of an imported file cannot be used (the good ones are kept)
        NotFound          an id, file or name that does not exist
        NothingToDo       the request is valid and there is nothing it applies to
    EndpointError         a language model endpoint
        EndpointUnreachable   refused, timed out, name not found
        EndpointRejected      answered with an error we must not repeat (bad key, bad request)
            NotTheProtocol        answered something that is no reply of the protocol
        RateLimited           asked us to slow down
        TruncatedReply        ran out of tokens before the end
        UnusableReply         answered something that does not fit the schema
    ModelError            a model on this machine or a hub
        ModelNotFound     no such hub id or folder, or it cannot be fetched
        ModelUnusable     loads, but cannot do the work (no EOS token, wrong kind)
        ChecksumMismatch  a shipped model file is not the one we know
    StorageError          the workspace
        DiskFull          no space left
        WorkspaceLocked   the database is busy
        WorkspaceDamaged  a file is missing or does not match its checksum
    JobError              long work
        OutOfMemory       the process needs more memory than there is
        TrainingDiverged  NaN or collapse
        BudgetReached     the money, request or token budget of the plan is used up
        BroughtNothing    every request failed
        JobLost           the process is gone and left no result
    IndexMismatch         an index was built by another encoder
    ServiceUnavailable    the model service does not answer

Every error has a `message` (what happened, and why) and a `hint` (what to do now). Pages and the command line show both and nothing else.
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of the tree. `code` names the failure in job rows and JSON output."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        """Machine-readable name, for example `endpoint_unreachable`."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(WorkbenchError):
    """Something a person or a file gave us cannot be used."""


class BadTemplate(BadInput):
    """A prompt template has an unknown, missing or broken slot."""


class BadPlan(BadInput):
    """A plan is incomplete or contradicts itself."""


class BadRows(BadInput):
    """Rows of an imported file cannot be used."""


class NotFound(BadInput):
    """An id, file or name that does not exist."""


class NothingToDo(BadInput):
    """The request is valid and there is nothing it applies to."""


class EndpointError(WorkbenchError):
    """A language model endpoint failed; `body` is what it answered, where it answered."""

    def __init__(self, message: str, *, hint: str = "", body: str = "") -> None:
        super().__init__(message, hint=hint)
        self.body = body


class EndpointUnreachable(EndpointError):
    """Refused, timed out, or its name was not found."""


class EndpointRejected(EndpointError):
    """Answered with an error that repeating cannot mend."""


class NotTheProtocol(EndpointRejected):
    """Answered something that is no reply of the protocol."""


class RateLimited(EndpointError):
    """Asked us to slow down."""


class TruncatedReply(EndpointError):
    """The model ran out of tokens before it finished."""


class UnusableReply(EndpointError):
    """The reply does not fit the asked schema."""


class ModelError(WorkbenchError):
    """A model on this machine or a hub."""


class ModelNotFound(ModelError):
    """No such hub id or folder, or it cannot be fetched."""


class ModelUnusable(ModelError):
    """The model loads but cannot do this work."""


class ChecksumMismatch(ModelError):
    """A shipped model file is not the one this version knows."""


class StorageError(WorkbenchError):
    """The workspace cannot be read or written."""


class DiskFull(StorageError):
    """No space left where the workspace lies."""


class WorkspaceLocked(StorageError):
    """The database stayed busy longer than we wait."""


class WorkspaceDamaged(StorageError):
    """A file is missing or does not match its checksum."""


class JobError(WorkbenchError):
    """Long work ended badly."""


class OutOfMemory(JobError):
    """The process needs more memory than there is."""


class TrainingDiverged(JobError):
    """The loss became NaN, or all vectors became one."""


class BudgetReached(JobError):
    """The money, request or token budget of the plan is used up."""


class BroughtNothing(JobError):
    """Every request of a job failed."""


class JobLost(JobError):
    """The process is gone and left no result."""


class IndexMismatch(WorkbenchError):
    """An index was built by another encoder than the one asking."""


class ServiceUnavailable(WorkbenchError):
    """The model service does not answer."""
