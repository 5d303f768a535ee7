"""What all records have in common, and the ids of the rows they come from."""

from typing import Annotated, NewType

from pydantic import BaseModel, ConfigDict, Field

StudyId = NewType("StudyId", int)
StageId = NewType("StageId", int)
TrialId = NewType("TrialId", int)
RunId = NewType("RunId", int)
WorkerId = NewType("WorkerId", int)
TokenId = NewType("TokenId", int)


class Record(BaseModel):
    """Frozen; unknown fields are errors; non-finite floats travel as strings both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


Number = Annotated[float, Field(allow_inf_nan=True)]
