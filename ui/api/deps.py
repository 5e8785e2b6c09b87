"""What the routes are given: the studio behind the API that they belong to."""

from typing import Annotated

from fastapi import Depends, Request

from jobs.studio import Studio


async def _studio(request: Request) -> Studio:
    return request.app.state.studio


StudioDep = Annotated[Studio, Depends(_studio)]
