"""Home folders of containers: their files, and the mapping of image paths to local paths."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.images.image import USER_HOME, AirflowImageParts
from cdk_airflow_ecs.local.images.image_files import resolved

_PACKAGES: Final = str(USER_HOME / ".local")


def fill(home: Path, image: AirflowImageParts) -> None:
    """Copy an image's files into a container's home."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (*image.folders, image.workdir):
        if (place := resolved(image, folder)) is not None:
            (home / place).mkdir(parents=True, exist_ok=True)
    for source, path in image.files:
        place = resolved(image, path)
        if place is None:
            continue
        if source.is_dir():
            shutil.copytree(source, home / place, dirs_exist_ok=True)
        else:
            (home / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, home / place)
    for path in image.executables:
        place = resolved(image, path)
        if place is not None and (file := home / place).exists():
            file.chmod(file.stat().st_mode | 0o111)


def located(text: str, image: AirflowImageParts, home: Path, programs: Path) -> str:
    """Replace image paths in a text by local paths; *programs* is the environment's `bin` folder.

    Examples:
        >>> image = AirflowImageParts(version="", python="")
        >>> located("/opt/airflow/gx:/opt/airflow-x:s3://b/opt/airflow", image, Path("/h"), Path("/env/bin"))
        '/h/gx:/opt/airflow-x:s3://b/opt/airflow'
    """
    places = {_PACKAGES: str(programs.parent)} | {str(path): str(home) for path in image.homes}
    names = "|".join(map(re.escape, places))
    return re.sub(rf"(?<![\w.-])(?<![\w.-]/)({names})(?![\w.-])", lambda match: places[match[1]], text)


def search_path(text: str, image: AirflowImageParts, home: Path, programs: Path) -> str:
    """Return an image's PATH with local paths and the environment's programs.

    Examples:
        >>> image = AirflowImageParts(version="", python="")
        >>> search_path("/home/airflow/.local/bin:/usr/bin:/opt/airflow/x", image, Path("/h"), Path("/env/bin"))
        '/env/bin:/usr/bin:/h/x'
    """
    entries = [located(entry, image, home, programs) for entry in text.split(":") if entry]
    if str(programs) not in entries:
        entries.insert(0, str(programs))
    return ":".join(dict.fromkeys(entries))
