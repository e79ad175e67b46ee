"""``prediction-worker model``: make a bundle, look into one, see whether a schema feeds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from worker.avro.schema import RecordSchema
    from worker.models.manifest import Manifest

app = typer.Typer(help="Pack, check and show model bundles.", no_args_is_help=True)


@app.command("pack")
def pack_model(
    model_file: Annotated[
        Path, typer.Argument(help="The fitted model, by joblib or pickle. It is unpickled: trust it.")
    ],
    *,
    to: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    version: Annotated[str, typer.Option(help="Semantic version, such as 1.0.0.")],
    schema: Annotated[Path, typer.Option(help="Reader schema (.avsc) of the events: gives the features' kinds.")],
    test_data: Annotated[Path, typer.Option(help="Test rows: CSV with a header line, or an Avro container file.")],
    target: Annotated[str, typer.Option(help="The column of the test rows that holds the truth.")],
    features: Annotated[
        str | None, typer.Option(help="Comma-separated, in the order of training. Default: as the model was fitted.")
    ] = None,
    task: Annotated[
        Literal["auto", "binary", "multiclass", "regression"], typer.Option(help="What it predicts.")
    ] = "auto",
    positive_class: Annotated[str | None, typer.Option(help="Of a binary model. Default: its last class.")] = None,
    threshold: Annotated[
        float, typer.Option(help="Positive where the probability is at least this.", min=0, max=1)
    ] = 0.5,
    minimum: Annotated[
        list[str] | None,
        typer.Option("--min", help="METRIC=VALUE: a scikit-learn scorer and the least it must reach. Repeatable."),
    ] = None,
    input_kind: Annotated[
        Literal["auto", "matrix", "dataframe"], typer.Option("--input", help="What the model is given.")
    ] = "auto",
    profile_data: Annotated[
        Path | None,
        typer.Option(help="Training rows, in a file like the test rows': what live ones are compared with for drift."),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Their column of event times: ISO 8601, Unix milliseconds or an Avro timestamp.")
    ] = None,
    window: Annotated[int, typer.Option(help="Seconds of a window in which drift is looked for.", min=1)] = 3_600,
    training_data_digest: Annotated[str | None, typer.Option(help="For the lineage: of the training data.")] = None,
    code_revision: Annotated[str | None, typer.Option(help="For the lineage: of the training code.")] = None,
    parent_version: Annotated[str | None, typer.Option(help="For the lineage: the version it follows.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle that is there already.")] = False,
) -> None:
    """Make a bundle of a trained model, or refuse it.

    MODEL_FILE is unpickled, which runs whatever its maker put in: pack only files that you trust. The metrics are of the
    predictions that the worker would publish; exit code 4 when one is below its --min.
    """
    from worker.models.binding import features_from
    from worker.models.contents import read_contents
    from worker.models.manifest import sha256
    from worker.models.pack import pack
    from worker.models.reference import TrainingRows
    from worker.models.samples import read_samples, read_training
    from worker.models.trained import feature_names_of

    thresholds = _minima(minimum or [])
    record_schema = _schema(schema)
    model = _trained(model_file)
    names = [part.strip() for part in features.split(",")] if features else feature_names_of(model)
    if not names:
        raise typer.BadParameter("the model does not know the names of its columns: give --features")
    bound = features_from(record_schema, names)
    columns, targets = read_samples(test_data, bound, target)
    training = None if profile_data is None else read_training(profile_data, bound, time_column)
    manifest = pack(
        model,
        to=to,
        name=name,
        version=version,
        X_test=columns,
        y_test=targets,
        features=bound,
        task=task,
        positive_class=positive_class,
        threshold=threshold,
        input=input_kind,
        thresholds=thresholds,
        training_data_digest=training_data_digest,
        code_revision=code_revision,
        parent_version=parent_version,
        profile=None if training is None else TrainingRows(*training, window),
        replace=replace,
    )
    _print_metrics(manifest.metrics, manifest.thresholds)
    _print_profile(read_contents(to).files)
    typer.echo(f"Packed {manifest.name} {manifest.version} into {to}. Pin it in the settings:\n")
    typer.echo(f'[model]\nbundle = "{to}"\ndigest = "{sha256(manifest.to_json())}"')


@app.command()
def check(
    bundle: Annotated[Path, typer.Argument(help="Folder or .tar of the bundle. It is unpickled once verified.")],
    schema: Annotated[Path, typer.Option(help="Reader schema (.avsc) of the events.")],
    digest: Annotated[str | None, typer.Option(help="The manifest digest that the settings pin.")] = None,
) -> None:
    """Say whether records of a schema feed a model: everything that a worker checks at its start.

    Exit code 4: the bundle can't be trusted or does not predict as packed. 3: schema and model do not fit.
    """
    from worker.errors import ConfigurationError
    from worker.models.binding import bind
    from worker.models.bundle import open_bundle
    from worker.models.predictor import BundlePredictor

    record_schema = _schema(schema)

    def fits(manifest: Manifest) -> None:
        if problems := bind(manifest, record_schema):
            raise ConfigurationError(problems, hint="records of this schema can't feed this model")

    opened = open_bundle(bundle, digest=digest, check=fits)
    manifest = opened.manifest
    for warning in opened.warnings:
        typer.echo(f"warning: {warning}")
    BundlePredictor(opened).check_golden()
    typer.echo(
        f"{manifest.name} {manifest.version} is intact and predicts its {len(opened.golden.columns)} golden rows; "
        f"{record_schema.name} feeds all of its {len(manifest.features)} features."
    )


@app.command()
def show(
    bundle: Annotated[Path, typer.Argument(help="Folder or .tar of the bundle.")],
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as it stands.")] = False,
) -> None:
    """Show a bundle's manifest, its files verified, without unpickling anything."""
    from worker.models.contents import read_contents

    contents = read_contents(bundle)
    manifest = contents.manifest
    if as_json:
        typer.echo(manifest.to_json().decode(), nl=False)
        return
    typer.echo(f"digest {contents.digest}")
    _print_table(
        f"{manifest.name} {manifest.version}",
        ("", ""),
        [
            ("task", manifest.task),
            ("input", manifest.input),
            ("classes", ", ".join(manifest.classes) or "-"),
            ("positive class", "-" if manifest.positive_class is None else manifest.positive_class),
            ("threshold", "-" if manifest.threshold is None else f"{manifest.threshold:g}"),
            *((name.replace("_", " "), str(value)) for name, value in manifest.lineage if value is not None),
            *manifest.libraries.model_dump(by_alias=True).items(),
        ],
    )
    _print_table("Features", ("name", "kind"), [(feature.name, feature.type) for feature in manifest.features])
    _print_metrics(manifest.metrics, manifest.thresholds)
    _print_profile(contents.files)
    sizes = contents.files
    _print_table("Files", ("name", "bytes", "sha256"), [(n, str(len(sizes[n])), d) for n, d in manifest.files.items()])


def _trained(path: Path) -> object:
    """Raises ModelError; also where the file was written by another scikit-learn, since repacking would hide that."""
    from worker.errors import ConfigurationError, ModelError
    from worker.models.bundle import load_model

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"model file {path} can't be read: {error.strerror}") from None
    # joblib reads plain pickles, too
    model, warned = load_model(content, "joblib")
    foreign = [warning for warning in warned if "Trying to unpickle estimator" in warning]
    if foreign:
        raise ModelError(foreign[0], hint="pack it where it was trained, or train it with the worker's scikit-learn")
    return model


def _schema(path: Path) -> RecordSchema:
    from worker.avro.schema import SchemaRefused, parse_schema
    from worker.errors import ConfigurationError

    try:
        return parse_schema(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"schema {path} can't be read: {error}") from None
    except SchemaRefused as refused:
        raise ConfigurationError(f"schema {path}: {refused}") from None


def _minima(given: list[str]) -> dict[str, float]:
    minima: dict[str, float] = {}
    for item in given:
        metric, _, value = item.partition("=")
        try:
            minima[metric.strip()] = float(value)
        except ValueError:
            raise typer.BadParameter(f"{item!r} is not METRIC=VALUE", param_hint="--min") from None
    return minima


def _print_metrics(metrics: Mapping[str, float], minima: Mapping[str, float]) -> None:
    rows = [(n, f"{v:.6g}", f"{minima[n]:g}" if n in minima else "-") for n, v in metrics.items()]
    _print_table("Metrics", ("metric", "value", "minimum"), rows)


def _print_profile(files: Mapping[str, bytes]) -> None:
    """What a bundle's profile is of, if it has one."""
    from worker.models.reference import profile_of

    found = profile_of(files)
    if found is None:
        return
    profile, digest = found
    blocks = max((len(null.values) for one in profile.series for null in (one.nulls or {}).values()), default=0)
    rows = [
        ("digest", digest),
        ("series", ", ".join(one.name for one in profile.series)),
        *((f"left out: {name}", why) for name, why in profile.left_out.items()),
        ("training rows", f"{profile.records:,}"),
        ("window", f"{profile.window_seconds:,} s"),
        ("windows in training", f"{blocks:,}" if blocks else "none: records are taken to be independent"),
    ]
    _print_table("Reference profile", ("", ""), rows)


def _print_table(title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(headings))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
