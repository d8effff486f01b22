import os
from pathlib import Path


def cache_folder() -> Path:
    import platformdirs

    return Path(os.environ.get("NNLAB_CACHE") or platformdirs.user_cache_dir("nnlab"))
