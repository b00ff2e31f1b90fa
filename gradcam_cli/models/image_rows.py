"""Further inputs of a model that differ from image to image: the rows of a CSV file."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.matching import column_index, index_by_path
from gradcam_cli.storage.regular_files import read_regular

IMAGE_COLUMN = "image"
MAX_BYTES = 1 << 28
"""Limit of a CSV file's size."""


class RowInput(keras.Layer):  # type: ignore[misc]
    """Returns the values of the images of a batch for one input.

    Args:
        value: (...), the values of an image, until others are selected.
    """

    def __init__(self, value: np.ndarray, name: str) -> None:
        super().__init__(name=name)
        self.rows = tf.Variable(value[None], trainable=False, shape=(None, *value.shape))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return (n, ...) for images (n, h, w, c): a batch of one image's copies gets its values n times."""
        rows = tf.convert_to_tensor(self.rows)
        return tf.gather(rows, tf.range(tf.shape(x)[0]) % tf.shape(rows)[0])

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the shape and the type for images of a batch."""
        return keras.KerasTensor((x.shape[0], *self.rows.shape[1:]), dtype=self.rows.dtype.name)


class ImageRows:
    """The values of all inputs but the image, for each image of a CSV file.

    Args:
        file: a CSV file with a header: the column `image`, and columns of numbers. If the model has one further
            input, they are its values in their order. Otherwise they have the names of the inputs, `NAME` for an input
            with one value, and `NAME[0]`, `NAME[1]` and so on for others.
        shapes: shape and type of each further input, by its name, without the batch.

    Raises:
        UsageError: the file cannot be read, has other columns, or a value that is no number of the input's type.
    """

    def __init__(self, file: Path, shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
        self.file = file
        self.lock = threading.Lock()
        header, lines = _read_csv(file)
        table = f"--other-inputs: {file}"
        columns = {name: _columns(name, shape, header, only=len(shapes) == 1) for name, (shape, _) in shapes.items()}
        image = column_index(header, IMAGE_COLUMN, table)
        indices = {name: [column_index(header, column, table) for column in listed] for name, listed in columns.items()}
        rows = []
        for number, line in lines:
            where = f"--other-inputs: {file}, line {number}"
            if len(line) != len(header):
                raise UsageError(f"{where}: expected {len(header)} fields, got {len(line)}")
            rows.append((line[image].strip(), _values(line, indices, shapes, where)))
        if not rows:
            raise UsageError(f"--other-inputs: {file}: expected a row for each image, got none")
        self._find = index_by_path(rows)
        self._inputs = {name: RowInput(value, f"row_{name}") for name, value in rows[0][1].items()}

    def layers(self) -> Mapping[str, RowInput]:
        """Return the layer that takes the place of each input."""
        return self._inputs

    def row(self, image: str) -> Mapping[str, np.ndarray]:
        """Return the values of an image, by the name of the input.

        Raises:
            InputError: the file has no row for the image, or several.
        """
        rows = self._find(image)
        if len(rows) != 1:
            raise InputError(f"--other-inputs: {self.file}: expected one row for this image, got {len(rows)}")
        return rows[0]

    def select(self, images: Sequence[str]) -> None:
        """Give the model the values of these images, in the order of a batch."""
        rows = [self.row(image) for image in images]
        for name, layer in self._inputs.items():
            layer.rows.assign(np.stack([row[name] for row in rows]))


@contextlib.contextmanager
def selected_rows(rows: ImageRows | None, images: Sequence[str]) -> Iterator[None]:
    """Give a model the further inputs of these images, in the order of a batch, until the block ends.

    Other threads wait. A batch of another size than the number of images gets the values in turn.

    Args:
        rows: of the model, or None for a model whose inputs do not differ from image to image.
        images: their names.
    """
    if rows is None:
        yield
        return
    with rows.lock:
        rows.select(images)
        yield


def _read_csv(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and the other rows that are not blank with the numbers of their lines."""
    try:
        text = read_regular(file, MAX_BYTES, allow_pipe=True).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
        header = [field.strip() for field in next(reader, [])]
        return header, [(reader.line_num, fields) for fields in reader if fields]
    except OSError as error:
        raise UsageError(f"--other-inputs: {file} cannot be read: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"--other-inputs: {file}: expected a CSV file in UTF-8: {error}") from error


def _columns(name: str, shape: tuple[int, ...], header: Sequence[str], *, only: bool) -> list[str]:
    """Return the columns of an input; `only` if the model has no other one besides the image."""
    count = math.prod(shape)
    if only:
        listed = [column for column in header if column != IMAGE_COLUMN]
        if len(listed) != count:
            raise UsageError(
                f"--other-inputs: the input {name} has {count} values, the file {len(listed)} columns besides "
                f"{IMAGE_COLUMN}: {', '.join(listed)}"
            )
        return listed
    return [name] if count == 1 else [f"{name}[{i}]" for i in range(count)]


def _values(
    line: Sequence[str],
    indices: Mapping[str, Sequence[int]],
    shapes: Mapping[str, tuple[tuple[int, ...], str]],
    where: str,
) -> dict[str, np.ndarray]:
    values = {}
    for name, (shape, kind) in shapes.items():
        texts = [line[index] for index in indices[name]]
        try:
            numbers = np.array([float(text) for text in texts])
        except ValueError as error:
            raise UsageError(f"{where}: {name}: expected numbers, got {', '.join(texts)}") from error
        converted = numbers.astype(kind) if np.isfinite(numbers).all() else numbers
        if not np.isfinite(numbers).all() or (np.dtype(kind).kind in "iub" and (converted != numbers).any()):
            raise UsageError(f"{where}: {name}: expected finite numbers of type {kind}, got {', '.join(texts)}")
        values[name] = converted.reshape(shape)
    return values
