"""Planning: every refusal with its sentence, what reference rows share, and what an identity is made of."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from msgspec.structs import replace

from harness import DataSetSpec, FileSpec, FilesRecipe, GeneratedRecipe, HubRecipe
from harness.contracts.training import TrainOptions
from harness.errors import AmbiguousNameError, UnfitError, UnknownNameError, UnpinnedDataError, UsageError
from harness.ledger.identity import canonical_json
from harness.ledger.records import RunIdentity
from harness.ledger.runs import Plan, read_run
from harness.line.planning import plan_evaluation, recipe_sha256


def names(plan):
    return [(run.identity.method.name, run.identity.encoder.name) for run in plan.runs]


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"method": "squeze"}, "There is no method named 'squeze'; did you mean 'squeeze'?"),
        ({"data": "blob"}, "There is no data set named 'blob'; did you mean 'blobs'?"),
        ({"encoder": "mpl"}, "There is no encoder named 'mpl'; did you mean"),
        ({"evaluators": ("centriod",)}, "There is no evaluator named 'centriod'; did you mean 'centroid'?"),
        ({"protocol": "blobs-splits"}, "There is no protocol named 'blobs-splits'; did you mean 'blobs-split' or"),
        ({"protocol": "blobs-thirds/1"}, "There is no protocol named 'blobs-thirds/1'; did you mean 'blobs-thirds/2'?"),
        ({"features": ("hiden",)}, "There is no feature of encoder mlp named 'hiden'; did you mean 'hidden'?"),
        ({"features": ("zzz",)}, "There is no feature of encoder mlp named 'zzz'; known: y, hidden."),
        ({"budget": "papr"}, "There is no budget named 'papr'; did you mean 'paper'?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(toy, request_, sentence):
    with pytest.raises(UnknownNameError) as caught:
        toy.plan(**request_)
    assert str(caught.value).startswith(sentence)


HERE = "Method {} does not fit data set {}: "


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            {"method": "squeeze", "data": "pictures"},
            HERE.format("squeeze", "pictures")
            + "it has an encoder for synthetic, and the data set belongs to images; name an encoder with --encoder.",
        ),
        (
            {"method": "decode", "data": "pictures"},
            HERE.format("decode", "pictures") + "encoder mlp reads batches of vectors and the data set gives batches of images.",
        ),
        (
            {"encoder": "mlp-of-nine"},
            HERE.format("squeeze", "blobs")
            + "encoder mlp-of-nine reads samples of shape (9,) or (any, 2) and these have (6,); mlp reads them.",
        ),
        (
            {"method": "pair"},
            HERE.format("pair", "blobs") + "objective pairing draws pairs or sequences, and the data set offers items.",
        ),
        (
            {"method": "decode"},
            HERE.format("decode", "blobs") + "objective decoding needs a decoder, and encoder mlp has no mirror decoder.",
        ),
        (
            {"method": "taught", "data": "pictures", "encoder": "identity"},
            HERE.format("taught", "pictures") + "objective taught is supervised and the data set has no labels.",
        ),
        ({"evaluators": ("graphs-only",)}, "Evaluator graphs-only does not judge the synthetic track."),
        (
            {"evaluators": ("wants-factors",)},
            "Evaluator wants-factors needs factors, and data set blobs has none; those that can judge it are centroid, spread.",
        ),
        (
            {"evaluators": ("wants-truth",)},
            "Evaluator wants-truth needs truth, and data set blobs has none; those that can judge it are centroid, spread.",
        ),
        (
            {"method": "any", "data": "pictures", "evaluators": ("centroid",)},
            "Evaluator centroid needs labels, and data set pictures has none; those that can judge it are spread.",
        ),
        (
            {"evaluators": ("wants-package",)},
            "The evaluator wants-package needs packages that are not installed: no_such_package (pip install no-such-package).",
        ),
        ({"protocol": "walks-split"}, "Data set blobs is not judged under protocol walks-split; it has blobs-split, blobs-thirds."),
        ({"method": "any", "budget": "fast"}, "Method any has no budget 'fast'; it has paper."),
        (
            {"method": "random"},
            "Method random takes the encoder of the method it is compared with; name one with --encoder.",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_the_reason(toy, request_, sentence):
    with pytest.raises(UnfitError) as caught:
        toy.plan(**request_)
    assert str(caught.value) == sentence


def with_encoders(toy, **changes):
    return toy.with_parts(toy.entry(msgspec.structs.replace(toy.catalog.method("squeeze").spec, **changes)))


def test_of_several_encoders_the_first_that_fits_the_samples_is_taken(toy):
    plan = with_encoders(toy, encoders={"synthetic": ("mlp-of-nine", "other-mlp", "mlp")}).plan(references=False)
    assert names(plan) == [("squeeze", "other-mlp")]


def test_samples_that_no_encoder_of_a_method_reads_are_refused_with_the_shapes_there_are(toy):
    sentence = r"the samples of data set blobs, whose shape is \(6,\); it has mlp-of-nine for \(9,\) or \(any, 2\): name another"
    with pytest.raises(UnfitError, match=sentence):
        with_encoders(toy, encoders={"synthetic": ("mlp-of-nine",)}).plan()


def test_a_method_that_cannot_train_on_a_data_set_is_refused_with_those_that_can(toy):
    only_graphs = with_encoders(toy, encoders={"graphs": "mlp"}, objective="pairing")
    with pytest.raises(UnfitError, match=r"the data set belongs to synthetic; methods for it are any, decode\.$"):
        only_graphs.plan()


def test_records_carry_a_methods_name_not_its_alias(toy):
    plan = with_encoders(toy, aliases=("press",)).plan(method="press", references=False)
    assert names(plan) == [("squeeze", "mlp")]


def test_a_batch_too_small_for_the_objective_is_refused(toy):
    spec = msgspec.structs.replace(toy.catalog.objective("predict").spec, smallest_batch=2)
    with pytest.raises(UnfitError, match=r"needs batches of 2 or more; train\.batch_size is 1"):
        toy.with_parts(toy.entry(spec)).plan(options=("train.batch_size=1",))


def test_a_batch_too_small_for_the_encoder_is_refused(toy):
    spec = msgspec.structs.replace(toy.catalog.encoder("mlp").spec, smallest_batch=3)
    with pytest.raises(UnfitError, match=r"Encoder mlp normalises over its batch and needs batches of 3 or more; .* is 2\.$"):
        toy.with_parts(toy.entry(spec)).plan(options=("train.batch_size=2",))


def test_a_short_name_of_two_owners_is_refused_and_a_full_one_is_not(toy):
    twin = toy.with_parts(toy.entry(toy.catalog.evaluator("centroid").spec, toy.Centroid, package="other"))
    with pytest.raises(AmbiguousNameError, match="write one of other/centroid, toy/centroid"):
        twin.plan()
    run = twin.first(evaluators=("other/centroid", "toy/centroid"))
    assert [cell.part for cell in run.cells] == ["other/centroid", "toy/centroid"]
    assert len({run.cell_identity(cell).sha256 for cell in run.cells}) == 2


FILES = FilesRecipe(files=(FileSpec(path="a.bin", sha256=None), FileSpec(path="b.bin", sha256="0" * 64)))


def unpinned(toy):
    spec = msgspec.structs.replace(toy.BLOBS, recipe=FILES)
    return toy.with_parts(toy.entry(spec, toy.build_blobs))


def test_a_data_set_that_nobody_pinned_is_refused(toy):
    with pytest.raises(UnpinnedDataError, match=r"pinned the sha256 of data set blobs \(a.bin, ...\); add --trust-first"):
        unpinned(toy).plan()


@pytest.mark.parametrize("trust", [{"trust_first": True}, {"locked_hashes": {"a.bin": "1" * 64}}])
def test_a_data_set_that_is_trusted_first_is_marked(toy, trust):
    assert all(run.trusted_first for run in unpinned(toy).plan(**trust).runs)


def test_other_trusted_hashes_are_other_data(toy):
    one, other = (unpinned(toy).first(locked_hashes={"a.bin": digit * 64}) for digit in "12")
    assert one.identity.data.recipe_sha256 != other.identity.data.recipe_sha256


def test_planning_imports_no_torch():
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['numpy'] = None\n"
        "from harness.api import installed\n"
        "from harness.line.planning import Request, plan\n"
        "runs = plan(Request(method='ae', data='digits'), installed()[1]).runs\n"
        "print(len(runs), runs[0].identity.sha256)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "4"


# ------------------------------------------------------------------------------------------- runs, cells, defaults


def test_a_plan_has_the_compared_runs_first_and_then_the_reference_rows(toy):
    assert names(toy.plan(seeds=(0, 1))) == [("squeeze", "mlp")] * 2 + [
        ("majority", "constant"),
        ("majority", "constant"),
        ("random", "mlp"),
        ("random", "mlp"),
        ("raw", "identity"),
        ("raw", "identity"),
    ]


def test_reference_rows_are_flagged(toy):
    assert [run.reference for run in toy.plan().runs] == [False, True, True, True]


def test_a_supervised_method_is_marked_supervised_and_a_reference(toy):
    run = toy.first(method="taught")
    assert run.supervised
    assert run.reference
    assert not toy.first().supervised


def test_without_references_there_are_none(toy):
    assert names(toy.plan(references=False)) == [("squeeze", "mlp")]


def test_a_reference_method_that_is_asked_for_has_no_references_of_its_own(toy):
    assert names(toy.plan(method="raw")) == [("raw", "identity")]


def test_a_reference_row_that_is_not_defined_is_left_out_with_the_reason(toy):
    spec = msgspec.structs.replace(toy.catalog.encoder("constant").spec, kinds=("images",))
    plan = toy.with_parts(toy.entry(spec)).plan()
    assert [name for name, _ in names(plan)] == ["squeeze", "random", "raw"]
    [reason] = plan.left_out
    assert reason.startswith("majority: Method majority does not fit data set blobs: encoder constant reads batches of images")


def decoding(toy, *encoders):
    """With the evaluator "pixels", which needs a decoder, and decoders for these encoders."""
    specs = [msgspec.structs.replace(toy.catalog.encoder(name).spec, decoder="toy:decoder") for name in encoders]
    return toy.with_parts(toy.entry(toy.evaluator("pixels", needs=("decoder",))), *map(toy.entry, specs))


def test_an_evaluator_that_needs_a_decoder_is_planned_where_the_encoder_has_one(toy):
    run = decoding(toy, "mlp").first(evaluators=("pixels", "spread"), features=("y", "hidden"))
    assert [(cell.evaluator.name, cell.feature) for cell in run.cells] == [
        ("pixels", "y"), ("spread", "y"), ("pixels", "hidden"), ("spread", "hidden"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("encoders", "advice"),
    [
        ((), "no encoder that reads data set blobs has one."),
        (("mlp-of-nine",), "no encoder that reads data set blobs has one."),
        (("other-mlp", "mlp-of-nine"), "of those that read data set blobs, other-mlp has one."),
    ],
)
def test_an_evaluator_that_needs_a_decoder_is_refused_where_the_encoder_has_none(toy, encoders, advice):
    with pytest.raises(UnfitError) as caught:
        decoding(toy, *encoders).plan(evaluators=("spread", "pixels"))
    assert (
        str(caught.value)
        == f"Evaluator pixels cannot judge feature y: it needs a decoder, and encoder mlp has no mirror decoder; {advice}"
    )


def test_a_reference_method_that_is_asked_for_is_refused_as_any_other(toy):
    with pytest.raises(UnfitError, match="encoder identity has no mirror decoder; of those that read data set blobs, mlp has one"):
        decoding(toy, "mlp").plan(method="raw", evaluators=("pixels", "spread"))


def test_reference_rows_without_a_decoder_keep_the_cells_they_can_have(toy):
    plan = decoding(toy, "mlp").plan(evaluators=("pixels", "spread"))
    judged = {run.identity.method.name: [cell.evaluator.name for cell in run.cells] for run in plan.runs}
    both = ["pixels", "spread"]
    assert judged == {"squeeze": both, "majority": ["spread"], "random": both, "raw": ["spread"]}
    assert plan.left_out == (
        "majority judged by pixels on constant: it needs a decoder, and encoder constant has no mirror decoder.",
        "raw judged by pixels on input: it needs a decoder, and encoder identity has no mirror decoder.",
    )


def test_a_reference_row_of_which_no_cell_is_left_is_left_out_with_the_reason(toy):
    plan = decoding(toy, "mlp").plan(evaluators=("pixels",))
    assert names(plan) == [("squeeze", "mlp"), ("random", "mlp")]
    assert [reason.partition(";")[0] for reason in plan.left_out] == [
        "majority: Evaluator pixels cannot judge feature constant: it needs a decoder, and encoder constant has no mirror decoder",
        "raw: Evaluator pixels cannot judge feature input: it needs a decoder, and encoder identity has no mirror decoder",
    ]


def changed(toy, **fields):
    """With the evaluator "spread" changed in its spec, and a constant encoder that says so."""
    spread = msgspec.structs.replace(toy.catalog.evaluator("spread").spec, **fields)
    constant = toy.catalog.encoder("constant").spec
    features = tuple(msgspec.structs.replace(feature, constant=True) for feature in constant.features)
    return toy.with_parts(toy.entry(spread), toy.entry(msgspec.structs.replace(constant, features=features)))


def test_an_evaluator_that_reads_one_feature_alone_is_refused_another(toy):
    reading = changed(toy, features=("hidden",))
    assert [cell.feature for cell in reading.first(evaluators=("spread",), features=("hidden",)).cells] == ["hidden"]
    with pytest.raises(UnfitError, match="Evaluator spread cannot judge feature y: it reads hidden"):
        reading.plan(evaluators=("spread",), features=("y",))


def test_of_many_requests_a_run_and_a_reason_that_they_share_stand_once_in_the_plan(toy):
    one, other = toy.plan(evaluators=("centroid",)), toy.plan(evaluators=("centroid",), seeds=(0, 1))
    assert len(one.runs) == 4
    both = Plan.of_all([one, other])
    assert both.runs[:4] == one.runs
    assert both.runs[4:] == tuple(run for run in other.runs if run not in one.runs)
    assert len(both.runs) == len(other.runs)
    left_out = replace(one, left_out=("raw: why",))
    assert Plan.of_all([left_out, left_out]) == left_out


def test_an_evaluator_with_nothing_to_say_of_a_constant_leaves_out_that_reference_row(toy):
    plan = changed(toy, judges_constants=False).plan(evaluators=("spread",))
    assert [run.identity.method.name for run in plan.runs] == ["squeeze", "random", "raw"]
    assert plan.left_out == ("majority: Evaluator spread cannot judge feature constant: it has nothing to say of a constant.",)


def test_a_reference_row_is_the_same_run_with_all_its_cells_or_some(toy):
    decoded = decoding(toy, "mlp")
    some, every = (decoded.plan(evaluators=names_).runs[-1] for names_ in (("pixels", "spread"), ("spread",)))
    assert some == every


def test_an_old_run_whose_encoder_has_no_decoder_is_refused_an_evaluator_that_needs_one(toy):
    old, decoded = toy.first(method="raw"), decoding(toy, "mlp")
    with pytest.raises(UnfitError, match="it needs a decoder, and encoder identity has no mirror decoder"):
        plan_evaluation(old, ["pixels"], None, [], decoded.catalog)
    assert len(plan_evaluation(toy.first(), ["pixels"], None, [], decoded.catalog).cells) == 1


def test_evaluators_and_features_come_from_the_protocol(toy):
    run = toy.first(protocol="blobs-thirds")
    assert [(cell.evaluator.name, cell.feature) for cell in run.cells] == [("centroid", "hidden"), ("spread", "hidden")]


def test_the_data_sets_first_protocol_is_the_default(toy):
    assert toy.first().identity.protocol.id == "blobs-split"


def test_a_protocol_that_names_no_features_means_the_encoders_default_one(toy):
    assert [cell.feature for cell in toy.first().cells] == ["y"]


def test_a_methods_own_features_come_before_the_protocols(toy):
    spec = msgspec.structs.replace(toy.catalog.method("squeeze").spec, features=("y", "hidden"))
    run = toy.with_parts(toy.entry(spec)).first(protocol="blobs-thirds", evaluators=("spread",))
    assert [cell.feature for cell in run.cells] == ["y", "hidden"]


def test_a_reference_row_judges_the_compared_methods_features_where_it_has_them(toy):
    spec = msgspec.structs.replace(toy.catalog.method("squeeze").spec, features=("hidden", "y"))
    runs = toy.with_parts(toy.entry(spec)).plan().runs
    assert [[cell.feature for cell in run.cells] for run in runs] == [["hidden", "y"], ["constant"], ["hidden", "y"], ["input"]]


def test_asked_features_are_judged_and_reference_rows_follow_where_they_can(toy):
    runs = toy.plan(features=("hidden",)).runs
    assert [[cell.feature for cell in run.cells] for run in runs] == [["hidden"], ["constant"], ["hidden"], ["input"]]


@pytest.mark.parametrize("twice", [{"evaluators": ("spread", "toy/spread")}, {"features": ("y", "y")}, {"seeds": (0, 0)}])
def test_what_is_named_twice_is_planned_once(toy, twice):
    [run] = toy.plan(references=False, **twice).runs
    assert len(run.cells) == 1


def test_no_features_at_all_means_the_default(toy):
    assert toy.first(features=()).cells == toy.first().cells


def test_the_most_particular_encoder_is_taken(toy):
    spec = toy.catalog.method("squeeze").spec
    for encoders in (
        {"blobs": "other-mlp", "synthetic": "mlp", "*": "mlp"},
        {"synthetic": "other-mlp", "*": "mlp"},
        {"*": "other-mlp"},
    ):
        changed = toy.with_parts(toy.entry(msgspec.structs.replace(spec, encoders=encoders)))
        assert changed.first().identity.encoder.name == "other-mlp"


def test_a_method_that_does_not_train_has_no_training(toy):
    run = toy.plan().runs[-1]
    assert not run.trains
    training = run.identity.training
    assert (training.epochs, training.batch_size, training.patience, training.restore_best) == (None, None, None, False)


# -------------------------------------------------------------------------------------- what reference rows share


def test_the_random_row_has_the_encoder_that_was_asked_for(toy):
    assert names(toy.plan(encoder="other-mlp"))[2] == ("random", "other-mlp")


def test_reference_rows_are_judged_by_the_same_evaluators_with_the_same_options(toy):
    runs = toy.plan(budget="smoke", options=("evaluator.centroid.shrink=0.5",)).runs
    assert len({canonical_json(cell.evaluator) for run in runs for cell in run.cells}) == 1


def test_a_reference_row_is_the_same_beside_another_method(toy):
    spec = msgspec.structs.replace(toy.catalog.method("squeeze").spec, name="press")
    pressed = toy.with_parts(toy.entry(spec))
    assert [run.identity for run in pressed.plan(method="press").runs[1:]] == [run.identity for run in toy.plan().runs[1:]]


# ---------------------------------------------------------------------------------------------------- identities


def test_the_same_request_gives_the_same_plan(toy):
    assert toy.plan(seeds=(0, 3)) == toy.plan(seeds=(0, 3))


def test_the_name_of_a_budget_is_not_part_of_the_identity(toy):
    # "fast" sets the number of epochs that the recipe has anyway.
    paper, fast = toy.first(), toy.first(budget="fast")
    assert paper.identity == fast.identity
    assert paper.cell_identity(paper.cells[0]) == fast.cell_identity(fast.cells[0])
    assert (paper.budget, fast.budget) == ("paper", "fast")


def test_spelling_a_default_out_is_the_same_identity(toy):
    assert toy.first(options=("encoder.width=6", "objective.lr=0.01", "train.epochs=4")).identity == toy.first().identity


def test_names_are_canonical_however_they_are_spelt(toy):
    full = toy.first(
        method="toy/squeeze", data="toy/blobs", encoder="toy/mlp", evaluators=("toy/centroid",), protocol="blobs-split/1"
    )
    assert full.identity == toy.first().identity
    assert full.cells == toy.first().cells


def test_the_seed_moves_the_run_and_not_the_row(toy):
    one, other = toy.plan(seeds=(0, 1), references=False).runs
    assert one.identity.sha256 != other.identity.sha256
    cells = [run.cell_identity(run.cells[0]) for run in (one, other)]
    assert cells[0].sha256 != cells[1].sha256
    assert cells[0].row_sha256 == cells[1].row_sha256


def test_evaluator_and_feature_move_the_cell_and_not_the_run(toy):
    changed = [
        toy.first(),
        toy.first(features=("hidden",)),
        toy.first(evaluators=("spread",)),
        toy.first(options=("evaluator.centroid.shrink=0.5",)),
    ]
    assert len({run.identity.sha256 for run in changed}) == 1
    assert len({run.cell_identity(run.cells[0]).sha256 for run in changed}) == len(changed)


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "taught"},
        {"encoder": "other-mlp"},
        {"protocol": "blobs-thirds"},
        {"precision": "bf16"},
        {"seeds": (1,)},
        {"options": ("data.noise=0.1",)},
        {"options": ("encoder.width=3",)},
        {"options": ("objective.lr=0.1",)},
        {"options": ("train.epochs=9",)},
        {"options": ("train.batch_size=9",)},
        {"options": ("train.patience=9",)},
        {"options": ("train.restore_best=true",)},
        {"options": ("train.compile=true",)},
    ],
)
def test_a_request_for_something_else_is_another_run(toy, request_):
    assert toy.first(**request_).identity.sha256 != toy.first().identity.sha256


@pytest.mark.parametrize(
    ("kind", "name"),
    [("method", "squeeze"), ("encoder", "mlp"), ("objective", "predict"), ("dataset", "blobs"), ("protocol", "blobs-split")],
)
def test_a_raised_version_of_a_part_is_another_run(toy, kind, name):
    [found] = [entry for entry in toy.entries if (entry.kind, entry.name) == (kind, name)]
    raised = toy.with_parts(toy.entry(msgspec.structs.replace(found.spec, version=found.spec.version + 1), found.made))
    assert raised.first().identity.sha256 != toy.first().identity.sha256


@pytest.mark.parametrize("change", [{"revision": "2"}, {"recipe": GeneratedRecipe(generator="toy", settings={"seed": 8})}])
def test_other_data_is_another_run(toy, change):
    changed = toy.with_parts(toy.entry(msgspec.structs.replace(toy.BLOBS, **change), toy.build_blobs))
    assert changed.first().identity.sha256 != toy.first().identity.sha256


def leaves(value, path=()):
    """Paths of all values inside a plain document."""
    if isinstance(value, dict) and value:
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    return [path]


def test_every_field_of_an_identity_moves_the_id(toy):
    identity = toy.first().identity
    plain = msgspec.to_builtins(identity)
    paths = leaves(plain)
    assert len(paths) > 25
    for path in paths:
        changed = msgspec.json.decode(msgspec.json.encode(plain))
        place = changed
        for key in path[:-1]:
            place = place[key]
        before = place[path[-1]]
        if path[-1] == "recipe_sha256":
            place[path[-1]] = "f" * 64
        elif path[-1] == "precision":
            place[path[-1]] = "bf16"
        elif isinstance(before, bool):
            place[path[-1]] = not before
        elif isinstance(before, str):
            place[path[-1]] = before + "x"
        elif isinstance(before, dict):
            place[path[-1]] = {"more": 1}
        else:
            place[path[-1]] = (before or 0) + 1
        assert msgspec.convert(changed, RunIdentity).sha256 != identity.sha256, path


def test_the_id_is_the_sha256_of_the_canonical_json(toy):
    import hashlib

    identity = toy.first().identity
    assert identity.sha256 == hashlib.sha256(canonical_json(identity)).hexdigest()


def test_the_folder_says_data_method_seed_and_run(toy):
    run = toy.first(seeds=(3,))
    assert str(run.folder) == f"blobs/squeeze-s3-{run.identity.sha256[:8]}"


def test_a_run_has_a_short_name(toy):
    assert toy.first(seeds=(3,)).name == "squeeze on blobs, seed 3"


def test_a_plan_lists_its_cells(toy):
    plan = toy.plan(evaluators=("centroid", "spread"))
    assert [(run.identity.method.name, cell.evaluator.name) for run, cell in plan.cells][:2] == [
        ("squeeze", "centroid"),
        ("squeeze", "spread"),
    ]
    assert len(plan.cells) == 8


def test_what_was_passed_is_kept_as_typed(toy):
    assert toy.first(options=("train.epochs=3",), encoder="mlp").passed == {"options": ["train.epochs=3"], "encoder": "mlp"}


def test_training_options_of_a_recipe_are_the_trainers_own(toy):
    run = toy.first()
    training = {name: getattr(run.identity.training, name) for name in TrainOptions.__struct_fields__}
    assert training == msgspec.to_builtins(TrainOptions(epochs=4, batch_size=10))


# ---------------------------------------------------------------------------------------------------------- recipes


def test_the_recipe_of_pinned_files_is_their_hashes(toy):
    pinned = FilesRecipe(files=(FileSpec(path="a.bin", sha256="0" * 64, url="https://example.org/a"),))
    elsewhere = FilesRecipe(files=(FileSpec(path="a.bin", sha256="0" * 64, url="https://example.org/b", size=3),))
    other = FilesRecipe(files=(FileSpec(path="a.bin", sha256="1" * 64),))
    newer = FilesRecipe(files=pinned.files, version=2)
    digests = [recipe_sha256(recipe, {}) for recipe in (pinned, elsewhere, other, newer)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_where_the_same_content_is_elsewhere_is_no_part_of_the_recipe():
    pinned = FilesRecipe(files=(FileSpec(path="a.bin", sha256="0" * 64),))
    mirrored = FilesRecipe(files=pinned.files, elsewhere=HubRecipe(repository="o/n", revision="c" * 40, files=("a",)))
    assert recipe_sha256(pinned, {}) == recipe_sha256(mirrored, {})


def test_the_recipe_of_hub_data_is_repository_commit_files_and_version():
    recipes = [
        HubRecipe(repository="o/n", revision="c" * 40, files=("a", "b")),
        HubRecipe(repository="o/m", revision="c" * 40, files=("a", "b")),
        HubRecipe(repository="o/n", revision="d" * 40, files=("a", "b")),
        HubRecipe(repository="o/n", revision="c" * 40, files=("b", "a")),
        HubRecipe(repository="o/n", revision="c" * 40, files=("a", "b"), version=2),
    ]
    assert len({recipe_sha256(recipe, {}) for recipe in recipes}) == 5


def test_hub_data_are_pinned_by_their_commit(toy):
    recipe = HubRecipe(repository="o/n", revision="c" * 40, files=("a",))
    spec = msgspec.structs.replace(toy.BLOBS, recipe=recipe)
    assert not any(run.trusted_first for run in toy.with_parts(toy.entry(spec, toy.build_blobs)).plan().runs)


def test_the_recipe_of_generated_data_is_generator_version_and_settings():
    recipes = [
        GeneratedRecipe(generator="g"),
        GeneratedRecipe(generator="h"),
        GeneratedRecipe(generator="g", version=2),
        GeneratedRecipe(generator="g", settings={"n": 3}),
    ]
    assert len({recipe_sha256(recipe, {}) for recipe in recipes}) == 4


# ---------------------------------------------------------------------------------------- evaluating an old run again


def test_an_evaluation_plans_other_cells_of_the_same_run(toy):
    run = toy.first()
    again = plan_evaluation(run, ["spread", "centroid"], None, [], toy.catalog)
    assert again.identity == run.identity
    assert [(cell.evaluator.name, cell.feature) for cell in again.cells] == [("spread", "y"), ("centroid", "y")]


def test_an_evaluation_takes_options_of_its_evaluators(toy):
    again = plan_evaluation(toy.first(), ["centroid"], ["hidden"], ["evaluator.centroid.shrink=0.5"], toy.catalog)
    assert again.cells[0].evaluator.options == {"shrink": 0.5}
    assert again.cells[0].feature == "hidden"


@pytest.mark.parametrize(
    ("evaluators", "features", "options", "sentence"),
    [
        (["centroid"], None, ["objective.lr=1"], "Option part 'objective' belongs to the training, which is done"),
        (["centriod"], None, [], "There is no evaluator named 'centriod'"),
        (["centroid"], ["hiden"], [], "There is no feature of encoder mlp named 'hiden'; did you mean 'hidden'?"),
        (["wants-factors"], None, [], "Evaluator wants-factors needs factors"),
        (["wants-package"], None, [], "The evaluator wants-package needs packages"),
        (["spread"], None, ["evaluator.centroid.shrink=1"], "is for an evaluator that is not used"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(toy, evaluators, features, options, sentence):
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        plan_evaluation(toy.first(), evaluators, features, options, toy.catalog)


def test_a_planned_run_is_read_back_from_its_folder(toy, tmp_path):
    run = toy.first(options=("train.epochs=3",))
    (tmp_path / "run.json").write_bytes(msgspec.json.encode(run))
    assert read_run(tmp_path) == run


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "is not a run folder"), (b"{}", "cannot be read"), (b"\xff", "cannot be read")]
)
def test_a_folder_that_holds_no_run_is_refused(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_run(tmp_path)


def test_a_data_set_brought_by_the_user_is_planned_like_any(toy):
    spec = DataSetSpec(
        name="mine",
        summary="mine",
        track="synthetic",
        kind="vectors",
        build="toy:build",
        recipe=GeneratedRecipe(generator="user"),
        protocols=("blobs-split",),
        sampling=("items",),
        shape=(6,),
    )
    catalog = toy.catalog.with_dataset(spec, toy.build_blobs)
    toy.catalog = catalog
    run = toy.first(data="mine")
    assert run.parts["data"] == "user/mine"
    assert run.identity.data.distribution == "user"


# ------------------------------------------------------------------------------- what a data set and a protocol say


def test_a_protocol_may_name_the_reference_rows_that_stand_under_it(toy):
    named = replace(toy.catalog.protocol("blobs-split").spec, references=("majority",))
    planned = toy.with_parts(toy.entry(named)).plan()
    assert [run.identity.method.name for run in planned.runs] == ["squeeze", "majority"]


def test_a_supervised_objective_may_learn_factors_where_there_are_no_labels(toy):
    assert "labels" not in toy.catalog.dataset("walks").spec.annotations
    taught = toy.method("taught-frames", "taught", {"atari": "identity"})
    assert toy.with_parts(toy.entry(taught)).first(method="taught-frames", data="walks").supervised
