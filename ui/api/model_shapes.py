"""The JSON about models that the API takes and answers with: the library, what is in memory, downloads."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.names import AUTOMATIC

from .shapes import Memory, Shape

Name = Annotated[str, Field(min_length=1, max_length=500)]


class Kind(Shape):
    name: str
    title: str
    plural: str
    count: int


class Part(Shape):
    component: str
    bytes: int
    waits: bool = Field(description="In main memory, from where it visits the device.")
    shared: bool = Field(description="Another checkpoint in memory has the very same, which is held once.")


class Model(Shape):
    kind: str
    name: str = Field(description="What requests and prompts call it by; unique within its kind.")
    title: str
    path: str | None = Field(description="Where it lies; told to the owner only.")
    size_bytes: int
    family: str | None
    family_title: str | None
    base_model: str = Field(description="What it was made for, in the words of its makers.")
    detail: str
    broken: str | None = Field(description="Why it cannot be used, in one sentence.")
    summary: str = Field(description="What it is good for, from its card or from files beside it; plain text.")
    trigger_words: list[str]
    tags: list[str]
    prompt: str = Field(description="What puts it into a prompt; empty where nothing does.")
    native_size: tuple[int, int] | None
    tasks: list[str]
    loaded: bool
    memory_bytes: int | None = Field(description="What it takes in memory, where the engine tells.")
    holds: list[Part] = Field(description="Its components in memory, the largest first.")
    memory_plan: str = Field(description="Where they live, in a sentence.")
    pickle: bool = Field(description="Whether it is a pickle, which is not opened and can be converted.")
    preview: str | None = Field(description="Changes when the preview changes; null where there is none.")
    own_preview: bool = Field(description="Whether the preview was chosen here.")
    notes: str
    default_vae: str | None
    dtype: str | None = Field(description="What a checkpoint's numbers are loaded in; automatic is what suits the device.")
    conversion_error: str | None = Field(description="Why a pickle was not converted when it was last tried.")
    source: str | None = Field(description="Where it was downloaded from; told to the owner only.")
    sha256: str | None = Field(description="Of the file; of a folder that of its denoiser.")
    hashing: bool = Field(description="Whether the hash is still being computed.")
    short_hash: str | None = Field(description="Its first ten digits: A1111's model hash, Civitai's AutoV2.")
    autov3: str | None = Field(description="Twelve digits of the hash of a LoRA's weights without its header.")


class Library(Shape):
    kinds: list[Kind]
    models: list[Model]
    hashing: int = Field(description="Files whose hash is still being computed.")
    managing: bool = Field(description="Whether this client may download, load and annotate.")


class Notes(Shape):
    """What is left out stays as it is."""

    notes: str | None = Field(None, max_length=20_000)
    default_vae: Name | None = Field(None, description="Of a checkpoint; automatic is its own.")
    dtype: Name | None = Field(None, description="Of a checkpoint: float32, float16 or bfloat16; automatic is what suits the device.")


class PreviewOf(Shape):
    image: Name = Field(description="The id of a picture that was made here.")


class ToLoad(Shape):
    checkpoint: Name
    vae: Name | None = Field(None, description="Left out: its default VAE.")


class ToUnload(Shape):
    checkpoint: Name


class InMemory(Memory):
    """As the engine last told; what was asked follows within seconds."""


class ToConvert(Shape):
    kind: str = Field(max_length=40)
    name: Name


class Conversion(ToConvert):
    state: Literal["queued", "running", "finished", "failed"]
    error: str | None
    share: float | None = Field(description="How much of it is written, from 0 to 1, while it runs.")


class Conversions(Shape):
    conversions: list[Conversion] = Field(description="Those asked for since the studio started.")


class Place(Shape):
    source: str = Field(min_length=1, max_length=2000, description="org/name of the Hugging Face Hub, or an https address.")


class OfferedFile(Shape):
    path: str
    size_bytes: int | None
    sha256: str | None


class OfferedFolder(Shape):
    files: int
    size_bytes: int | None


class Offer(Shape):
    source: str
    title: str
    kind: str | None = Field(description="What it seems to be.")
    files: list[OfferedFile] = Field(description="Single files, each a model of its own.")
    folder: OfferedFolder | None = Field(description="A whole model in diffusers' layout.")
    unsafe: int = Field(description="Files that could run code when opened and are not offered.")
    free_bytes: int


class ToDownload(Place):
    file: str | None = Field(None, max_length=1000, description="One of the offered files; left out: the whole model, or the only file.")
    kind: str = Field(AUTOMATIC, max_length=40, description="Which shelf it goes to; automatic asks the file.")
    name: str | None = Field(None, min_length=1, max_length=200, description="What to call it here.")


class Download(Shape):
    id: str
    source: str
    kind: str
    name: str
    state: Literal["queued", "running", "finished", "failed", "cancelled"]
    error: str | None
    notice: str | None = Field(description="Why nothing comes at the moment.")
    created: float
    files: int
    bytes_done: int
    bytes_total: int | None
    bytes_per_second: int | None
    eta: float | None = Field(description="Seconds left, as far as can be told.")
    sha256: str | None
    placed: str | None = Field(description="Its path below the models folder, once it is there.")


class Downloads(Shape):
    downloads: list[Download] = Field(description="Newest first.")
