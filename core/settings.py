"""Where things are and what may be reached: environment (TERCET_*), then .env, then these defaults."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.domain.encoder import EMBEDDED_BASE
from core.domain.plans import EMBEDDED_TEACHER

PROJECT_FOLDER = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """One object, built once, passed in. Keys are SecretStr and are never written anywhere."""

    model_config = SettingsConfigDict(env_prefix="TERCET_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    workspace: Path = Field(PROJECT_FOLDER / "workspace", description="folder with the database and all artifacts")
    database_url: str | None = Field(None, description="SQLAlchemy URL of a SQLite file; tercet.db in the workspace where absent")
    models_folder: Path = Field(PROJECT_FOLDER / ".models", description="where the embedded decoder is converted to")
    base_model: str = EMBEDDED_BASE
    teacher_base_url: str = Field(EMBEDDED_TEACHER, description="`embedded` or the URL of an OpenAI-compatible API")
    teacher_model: str = "smollm2-135m"
    api_key: SecretStr | None = None
    device: str = Field("auto", description="auto | cpu | cuda | cuda:N")
    threads: int | None = Field(None, ge=1, description="CPU threads of a job; all cores where absent")
    trainings_at_once: int = Field(1, ge=1, description="further training jobs wait in line; more than 1 for several GPUs")
    reviewer: str = "me"
    service_idle_minutes: float = 60

    @property
    def sqlalchemy_url(self) -> str:
        """URL of the database in use."""
        return self.database_url or f"sqlite:///{self.workspace / 'tercet.db'}"

    @property
    def jobs_folder(self) -> Path:
        """Where each job has its folder."""
        return self.workspace / "jobs"
