"""Archives: every sample of a recording, losslessly, in Zarr v3 that other tools open too."""

from brainforge.archive.reader import ArchiveReader, open_archive
from brainforge.archive.verify import verify_archive
from brainforge.archive.writer import ArchiveWriter, import_recording
from brainforge.archive.zipped import zip_archive

__all__ = [
    "ArchiveReader",
    "ArchiveWriter",
    "import_recording",
    "open_archive",
    "verify_archive",
    "zip_archive",
]
