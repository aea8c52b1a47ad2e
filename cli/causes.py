"""What ended a service: the one cause that tasks which run together wrap into a group, and again into a group."""


def first_cause(fault: BaseException) -> BaseException:
    """The first cause inside of groups; the fault itself when it is none."""
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
