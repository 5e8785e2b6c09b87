"""What a download address offers: a repository of the Hugging Face Hub, one file in it, or a file anywhere else."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from huggingface_hub.errors import HFValidationError
from huggingface_hub.file_download import hf_hub_url
from huggingface_hub.utils import validate_repo_id

from pipelines.control.networks import KINDS as NETWORKS
from pipelines.errors import InvalidRequest, printable, shortened

from .fetching import FetchError, Remote, Web
from .filenames import safe_path, safe_weights

HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
UNSAFE = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".onnx", ".msgpack", ".h5", ".py")
_MOST_FILES = 2000
_MOST_JSON = 16 * 2**20
_REPO_PATH = re.compile(r"^/?(?P<repo>[^/]+/[^/]+)(?:/(?:resolve|blob|tree|raw)/(?P<revision>[^/]+))?(?:/(?P<file>.*))?$")
# Tags of the Hub to our kinds, the first that fits.
_TAGS = {
    "lora": "lora", "textual_inversion": "embedding", "controlnet": "controlnet", "vae": "vae", "upscaler": "upscaler",
    "super-resolution": "upscaler",
}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """What a user typed, understood: a place in a repository, or an address elsewhere."""

    repo: str | None = None
    revision: str = "main"
    file: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Offer:
    """What can be had at an address. `files` are single files of weights, each a model of its own; `folder` are the files of a
    model that is one, empty where there is none, and `folder_kind` is what it is; `unsafe` counts files that could run code and
    are left out."""

    source: str
    title: str
    files: tuple[Remote, ...]
    folder: tuple[Remote, ...] = ()
    unsafe: int = 0
    kind: str | None = None
    folder_kind: str = "checkpoint"


def read(source: str, endpoint: str) -> Address:
    """`org/name`, `org/name/file.safetensors`, a page of the Hub, or any other address. Raises InvalidRequest."""
    source = source.strip()
    if not source or len(source) > 2000 or not source.isprintable():
        raise InvalidRequest("source must be a repository such as org/name, or an https address of a .safetensors file.", "source")
    path = source
    if "://" in source:
        try:
            parts = urlsplit(source)
            host = parts.hostname
        except ValueError:
            raise InvalidRequest(f"source is no address: {shortened(source)}.", "source") from None
        if host not in HUB_HOSTS and host != urlsplit(endpoint).hostname:
            return Address(url=source)
        path = unquote(parts.path)
    found = _REPO_PATH.match(path.rstrip("/"))
    try:
        validate_repo_id(found["repo"] if found else path)
    except HFValidationError:
        found = None
    if found is None:
        rule = "source must be a repository such as org/name, or an https address of a .safetensors file"
        raise InvalidRequest(f"{rule}; got {shortened(source)}.", "source")
    return Address(found["repo"], found["revision"] or "main", found["file"] or None)


def look(address: Address, web: Web) -> Offer:
    """Asks what is there. Raises FetchError, NetworkError, or InvalidRequest when nothing there can be taken."""
    if address.repo is None:
        return _elsewhere(str(address.url), web)
    repo, revision = address.repo, address.revision
    url = f"{web.endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}"
    found = _json(web, f"{url}?blobs=true")
    commit = str(found.get("sha") or revision)
    listed = found.get("siblings")
    siblings = [each for each in listed[:_MOST_FILES] if isinstance(each, dict)] if isinstance(listed, list) else []
    remotes = {remote.path: remote for each in siblings if (remote := _remote(each, repo, commit, web.endpoint))}
    folder_kind = "checkpoint"
    if address.file:
        if address.file not in remotes:
            safe_weights(address.file)
            raise InvalidRequest(f"{repo} has no file {shortened(address.file)}.", "source")
        files, folder = (remotes[address.file],), ()
        safe_weights(address.file)
    else:
        folder = _folder(remotes, web)
        if not folder and (folder := _network(remotes, web)):
            folder_kind = "preprocessor"
        weights = (remote for path, remote in remotes.items() if path.lower().endswith(".safetensors") and "-of-0" not in path)
        files = tuple(remote for remote in weights if remote not in folder and not (folder and "/" in remote.path))  # parts are no models
    unsafe = sum(str(each.get("rfilename", "")).lower().endswith(UNSAFE) for each in siblings)
    if not files and not folder:
        only = f"only files that can run code ({unsafe})" if unsafe else "no .safetensors files"
        raise InvalidRequest(f"{repo} has {only}; there is nothing to download.", "source")
    kind = folder_kind if folder_kind == "preprocessor" else _kind(found.get("tags"), bool(folder))
    return Offer(f"{web.endpoint}/{repo}", repo, files, folder, unsafe, kind, folder_kind)


def _json(web: Web, url: str) -> dict[str, Any]:
    with web.get(url) as response:
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MOST_JSON:
                raise FetchError(f"{response.url.host} sends a list that is too long.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FetchError(f"{urlsplit(url).hostname} answers with something else than a list of files.")
    return found


def _remote(sibling: Mapping[str, Any], repo: str, commit: str, endpoint: str) -> Remote | None:
    """A file of the listing, or None where its kind or name is not taken."""
    path = sibling.get("rfilename")
    try:
        safe_path(str(path))
    except InvalidRequest:
        return None
    lfs = sibling.get("lfs")
    large = lfs if isinstance(lfs, dict) else {}
    size = large.get("size", sibling.get("size"))
    digest = large.get("sha256")
    return Remote(
        hf_hub_url(repo, str(path), revision=commit, endpoint=endpoint),
        str(path),
        size if isinstance(size, int) and size >= 0 else None,
        digest if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) else None,
    )


def _folder(remotes: Mapping[str, Remote], web: Web) -> tuple[Remote, ...]:
    """The files that a model in diffusers' layout is loaded from: of each component one set of weights, and all its text."""
    index = remotes.get("model_index.json")
    if index is None:
        return ()
    named = _json(web, index.url)
    components = {name for name, entry in named.items() if isinstance(entry, list) and len(entry) == 2 and all(entry)}
    taken = [index]
    for component in sorted(components - {"safety_checker", "feature_extractor"}):
        own = {path: remote for path, remote in remotes.items() if path.startswith(f"{component}/") and path.count("/") == 1}
        weights = _one_set([path for path in own if ".safetensors" in path])
        taken += [remote for path, remote in own.items() if path in weights or ".safetensors" not in path]
    return tuple(taken) if any(remote.path.endswith(".safetensors") for remote in taken) else ()


def _network(remotes: Mapping[str, Remote], web: Web) -> tuple[Remote, ...]:
    """The files of a network of preprocessors, which lie at the top of its repository."""
    wanted = [remotes.get(name) for name in ("config.json", "preprocessor_config.json")]
    if wanted[0] is None or wanted[1] is None:
        return ()
    named = _json(web, wanted[0].url).get("architectures")
    weights = [remote for path, remote in remotes.items() if re.fullmatch(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?", path)]
    known = isinstance(named, list) and bool(named) and named[0] in NETWORKS and weights
    return (wanted[0], wanted[1], *weights) if known else ()


def _one_set(paths: Iterable[str]) -> set[str]:
    """Of several precisions of the same weights the half one (`.fp16.`), else the plain one. Other variants are left out."""
    variants: dict[str, set[str]] = {}
    for path in paths:
        name = path.rpartition("/")[2].removesuffix(".json").removesuffix(".index")
        stem = re.sub(r"-\d{5}-of-\d{5}", "", re.sub(r"\.safetensors(\.index)?", "", name))
        variants.setdefault("fp16" if ".fp16" in stem else "" if "." not in stem else stem, set()).add(path)
    return variants.get("fp16") or variants.get("") or next(iter(variants.values()), set())


def _kind(tags: Any, has_folder: bool) -> str | None:
    known = {str(tag).lower() for tag in tags} if isinstance(tags, list) else set()
    fallback = "checkpoint" if has_folder else None
    return next((kind for tag, kind in _TAGS.items() if tag in known), fallback)


def _elsewhere(url: str, web: Web) -> Offer:
    """A single file at any address; its name is the server's or the address's, its hash is not known."""
    with web.get(url) as response:
        if "text/html" in response.headers.get("content-type", ""):
            raise FetchError(f"{response.url.host} answers with a web page instead of a file; it may ask for a login.")
        named = (_disposition(response.headers.get("content-disposition", "")), _last(url), _last(str(response.url)))
        told = response.headers.get("content-length", "")
        host = response.url.host
    name = next((each for each in named if each.lower().endswith(".safetensors")), named[1] or named[2])
    remote = Remote(url, safe_weights(name), int(told) if told.isdecimal() else None)
    return Offer(url.partition("?")[0], printable(f"{remote.path} from {host}"), (remote,))  # what follows "?" may be a secret


def _last(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _disposition(header: str) -> str:
    """The file name of a Content-Disposition header, or ""."""
    if not header:
        return ""
    message = Message()
    message["Content-Disposition"] = header
    return message.get_filename("") or ""
