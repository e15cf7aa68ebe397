"""The demo's data: what scikit-learn ships, with fingerprints of the contents."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]

DATA_SETS = ("wine", "iris", "breast_cancer", "digits")
"""Names of the data sets; `sklearn.datasets.load_NAME` gives each."""


class Sample(NamedTuple):
    """Rows of features (n x columns) and their classes (n)."""

    features: Array
    labels: Array

    @property
    def fingerprint(self) -> str:
        """SHA-256 over shapes, types and bytes of both arrays: the same content has the same, wherever it lies."""
        digest = hashlib.sha256()
        for array in self:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> str:
        """Write both arrays to an .npz file and return its URI."""
        import numpy as np

        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, features=self.features, labels=self.labels)
        return path.resolve().as_uri()


class Parts(NamedTuple):
    """A sample, divided."""

    train: Sample
    test: Sample


def require_sklearn() -> str:
    """Import scikit-learn and return its version.

    Raises:
        InvalidInputError: it is not installed (code `missing_dependency`).
    """
    try:
        import sklearn
    except ImportError as error:
        raise InvalidInputError(
            f"the demo trains models with scikit-learn, which cannot be imported: {error}",
            code=ErrorCode.MISSING_DEPENDENCY,
            hint="pip install 'stratalog[demo]'",
        ) from error
    version: str = sklearn.__version__
    return version


def load(name: str) -> Sample:
    """One of `DATA_SETS`."""
    from sklearn import datasets

    loader: Any = getattr(datasets, f"load_{name}")
    return Sample(*loader(return_X_y=True))


def divide(sample: Sample, *, test_share: float, seed: int) -> Parts:
    """Split a sample at random, each class in the same share."""
    from sklearn.model_selection import train_test_split

    divided: Any = train_test_split(*sample, test_size=test_share, random_state=seed, stratify=sample.labels)
    train_features, test_features, train_labels, test_labels = divided
    return Parts(Sample(train_features, train_labels), Sample(test_features, test_labels))


__all__ = ["DATA_SETS", "Parts", "Sample", "divide", "load", "require_sklearn"]
