"""What can go wrong with an export job."""

from __future__ import annotations


class ExportJobError(Exception):
    """An export job cannot do what was asked.

    Attributes:
        job_id: Which job, or ``None``.
    """

    def __init__(self, message: str, *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class ExportJobNotFoundError(ExportJobError, LookupError):
    """There is no job of this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Export job {job_id!r} was not found", job_id=job_id)


class ExportJobInvalidTransitionError(ExportJobError, ValueError):
    """The job's status does not allow the operation.

    Attributes:
        operation: The entity's operation that was asked for.
        from_status: The status the job is in; ``None`` if there is no job yet.
        to_status: The status that it would have been in.
    """

    def __init__(
        self,
        operation: str,
        from_status: str | None,
        to_status: str | None,
        *,
        job_id: str | None = None,
    ) -> None:
        super().__init__(
            f"Operation {operation!r} cannot transition export job {job_id!r}"
            f" from {from_status!r} to {to_status!r}",
            job_id=job_id,
        )
        self.operation = operation
        self.from_status = from_status
        self.to_status = to_status


__all__ = ["ExportJobError", "ExportJobInvalidTransitionError", "ExportJobNotFoundError"]
