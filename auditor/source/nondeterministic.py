"""The operations that PyTorch's documentation calls nondeterministic: where, in which direction, in which versions.

Read from the documentation of ``torch.use_deterministic_algorithms`` as the releases in ``READ`` ship it; ``address``
gives the page of a release. What a release between two that were read says is taken from the older one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Mode = Literal["alternative", "raises"]
Direction = Literal["forward", "backward"]
Certainty = Literal["high", "medium", "possible"]

READ = ("1.13.1", "2.0.1", "2.1.2", "2.2.2", "2.4.1", "2.6.0", "2.7.1", "2.8.0", "2.9.1", "2.10.0", "2.11.0", "2.12.1")
"""The releases whose documentation was read, besides ``LATEST``."""
LATEST = "2.13.0"


class Span(NamedTuple):
    """What ``torch.use_deterministic_algorithms(True)`` makes of an operation, from one release to another.

    ``alternative``: a deterministic kernel is taken; ``raises``: a RuntimeError. ``since`` is the first release that
    was read and says so, ``until`` the last; empty where it still does. Both are major and minor version.
    """

    mode: Mode
    since: str = "1.13"
    until: str = ""


class Operation(NamedTuple):
    """One operation of the list.

    ``name`` is what the documentation calls it; ``when`` the further condition that it names, in words. ``calls`` are
    the dotted names that reach the same kernels, ``methods`` those of tensors. ``certainty`` says how often a call is
    one whose result can really differ: adding integers, or to places that are all different, is exact in any order.
    """

    name: str
    direction: Direction
    spans: tuple[Span, ...]
    devices: tuple[str, ...] = ("cuda",)
    when: str = ""
    calls: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    certainty: Certainty = "high"


def address(version: str) -> str:
    """The page of a release, by its version."""
    major_minor = ".".join(version.split(".")[:2])
    return f"https://docs.pytorch.org/docs/{major_minor}/generated/torch.use_deterministic_algorithms.html"


def _nn(*names: str) -> tuple[str, ...]:
    return tuple(f"torch.nn.{name}" for name in names)


def _functional(*names: str) -> tuple[str, ...]:
    return tuple(f"torch.nn.functional.{name}" for name in names)


_ALTERNATIVE = (Span("alternative"),)
_RAISES = (Span("raises"),)
_LATER_ALTERNATIVE = (Span("alternative", "2.1"),)
_LATER_RAISES = (Span("raises", "2.1"),)

OPERATIONS: tuple[Operation, ...] = (
    # Which algorithm convolutions take is cuDNN's own switch, and a rule of its own.
    *(
        Operation(f"torch.nn.{name}{dimensions}d", "forward", _ALTERNATIVE)
        for name in ("Conv", "ConvTranspose")
        for dimensions in (1, 2, 3)
    ),
    Operation(
        "torch.nn.ReplicationPad1d",
        "backward",
        (Span("raises", until="2.7"), Span("alternative", "2.8")),
        calls=_nn("ReplicationPad1d"),
    ),
    Operation(
        "torch.nn.ReplicationPad2d",
        "backward",
        (Span("raises", until="2.1"), Span("alternative", "2.2")),
        calls=_nn("ReplicationPad2d"),
    ),
    Operation(
        "torch.nn.ReplicationPad3d",
        "backward",
        (Span("raises", until="2.7"), Span("alternative", "2.8")),
        calls=_nn("ReplicationPad3d"),
    ),
    Operation("torch.bmm", "forward", _ALTERNATIVE, when="of a sparse and a dense tensor", certainty="possible"),
    Operation(
        "torch.Tensor.__getitem__", "backward", _ALTERNATIVE, ("cpu",), "with a list of tensors", certainty="possible"
    ),
    Operation(
        "torch.Tensor.index_put",
        "forward",
        _ALTERNATIVE,
        ("cpu", "cuda"),
        "with accumulate=False",
        methods=("index_put", "index_put_"),
        certainty="possible",
    ),
    Operation(
        "torch.Tensor.index_put",
        "forward",
        _ALTERNATIVE,
        ("cpu",),
        "with accumulate=True",
        methods=("index_put", "index_put_"),
        certainty="possible",
    ),
    Operation(
        "torch.Tensor.put_",
        "forward",
        _ALTERNATIVE,
        ("cpu",),
        "with accumulate=True",
        methods=("put_",),
        certainty="possible",
    ),
    Operation(
        "torch.Tensor.scatter_add_",
        "forward",
        _ALTERNATIVE,
        calls=("torch.scatter_add",),
        methods=("scatter_add", "scatter_add_"),
    ),
    Operation(
        "torch.gather",
        "backward",
        _ALTERNATIVE,
        calls=("torch.gather",),
        methods=("gather",),
        # The usual index takes one element of each row: no two add to one place.
        certainty="possible",
    ),
    Operation(
        "torch.index_add",
        "forward",
        _ALTERNATIVE,
        calls=("torch.index_add",),
        methods=("index_add", "index_add_"),
    ),
    Operation(
        "torch.index_select",
        "backward",
        _ALTERNATIVE,
        calls=("torch.index_select",),
        methods=("index_select",),
        certainty="possible",
    ),
    Operation(
        "torch.repeat_interleave",
        "backward",
        _ALTERNATIVE,
        calls=("torch.repeat_interleave",),
        methods=("repeat_interleave",),
        certainty="possible",
    ),
    Operation(
        "torch.Tensor.index_copy",
        "forward",
        _ALTERNATIVE,
        ("cpu", "cuda"),
        calls=("torch.index_copy",),
        methods=("index_copy", "index_copy_"),
        certainty="possible",
    ),
    Operation(
        "torch.Tensor.scatter",
        "forward",
        _LATER_ALTERNATIVE,
        when="from a tensor",
        calls=("torch.scatter",),
        methods=("scatter", "scatter_"),
        certainty="possible",
    ),
    Operation(
        "torch.Tensor.scatter_reduce",
        "forward",
        _LATER_ALTERNATIVE,
        when="with reduce='sum' or 'mean'",
        calls=("torch.scatter_reduce",),
        methods=("scatter_reduce", "scatter_reduce_"),
    ),
    Operation(
        "torch.Tensor.scatter_reduce",
        "forward",
        _LATER_RAISES,
        when="with reduce='prod'",
        calls=("torch.scatter_reduce",),
        methods=("scatter_reduce", "scatter_reduce_"),
    ),
    Operation(
        "torch.nn.MaxPool3d",
        "backward",
        (Span("raises", until="2.12"), Span("alternative", "2.13")),
        calls=(*_nn("MaxPool3d"), *_functional("max_pool3d")),
    ),
    Operation("torch.nn.AvgPool3d", "backward", _RAISES, calls=(*_nn("AvgPool3d"), *_functional("avg_pool3d"))),
    Operation(
        "torch.nn.AdaptiveAvgPool2d",
        "backward",
        _RAISES,
        calls=(*_nn("AdaptiveAvgPool2d"), *_functional("adaptive_avg_pool2d")),
    ),
    Operation(
        "torch.nn.AdaptiveAvgPool3d",
        "backward",
        _RAISES,
        calls=(*_nn("AdaptiveAvgPool3d"), *_functional("adaptive_avg_pool3d")),
    ),
    Operation(
        "torch.nn.AdaptiveMaxPool2d",
        "backward",
        _RAISES,
        calls=(*_nn("AdaptiveMaxPool2d"), *_functional("adaptive_max_pool2d")),
    ),
    Operation(
        "torch.nn.FractionalMaxPool2d",
        "backward",
        _RAISES,
        calls=(*_nn("FractionalMaxPool2d"), *_functional("fractional_max_pool2d")),
    ),
    Operation(
        "torch.nn.FractionalMaxPool3d",
        "backward",
        _RAISES,
        calls=(*_nn("FractionalMaxPool3d"), *_functional("fractional_max_pool3d")),
    ),
    *(
        Operation(
            f"torch.nn.MaxUnpool{dimensions}d",
            "forward",
            _RAISES,
            calls=(f"torch.nn.MaxUnpool{dimensions}d", f"torch.nn.functional.max_unpool{dimensions}d"),
        )
        for dimensions in (1, 2, 3)
    ),
    Operation(
        "torch.nn.functional.interpolate",
        "backward",
        _RAISES,
        when="with mode='linear', 'bilinear', 'bicubic' or 'trilinear'",
        calls=(*_functional("interpolate", "upsample", "upsample_bilinear"), *_nn("Upsample", "UpsamplingBilinear2d")),
    ),
    *(
        Operation(
            f"torch.nn.ReflectionPad{dimensions}d",
            "backward",
            _RAISES,
            calls=(f"torch.nn.ReflectionPad{dimensions}d",),
        )
        for dimensions in (1, 2, 3)
    ),
    Operation(
        "torch.nn.NLLLoss",
        "forward",
        _RAISES,
        calls=(*_nn("NLLLoss", "NLLLoss2d"), *_functional("nll_loss")),
        # Its kernel for one label a sample adds in a fixed order; that for images does not.
        certainty="possible",
    ),
    Operation("torch.nn.CTCLoss", "backward", _RAISES, calls=(*_nn("CTCLoss"), *_functional("ctc_loss"))),
    Operation(
        "torch.nn.EmbeddingBag",
        "backward",
        _RAISES,
        when="with mode='max'",
        calls=(*_nn("EmbeddingBag"), *_functional("embedding_bag")),
    ),
    Operation("torch.Tensor.put_", "forward", _RAISES, ("cpu", "cuda"), "with accumulate=False", certainty="possible"),
    Operation("torch.Tensor.put_", "forward", _RAISES, when="with accumulate=True", methods=("put_",)),
    # Counts are exact in any order.
    Operation("torch.histc", "forward", _RAISES, calls=("torch.histc",), methods=("histc",), certainty="possible"),
    Operation(
        "torch.bincount",
        "forward",
        (Span("raises", until="2.0"),),
        certainty="possible",
    ),
    Operation(
        "torch.bincount",
        "forward",
        _LATER_RAISES,
        when="with weights",
        calls=("torch.bincount",),
        methods=("bincount",),
    ),
    Operation(
        "torch.kthvalue",
        "forward",
        (Span("raises", until="2.9"),),
        calls=("torch.kthvalue",),
        methods=("kthvalue",),
        certainty="medium",
    ),
    Operation(
        "torch.median",
        "forward",
        _RAISES,
        when="with indices",
        calls=("torch.median",),
        methods=("median",),
        certainty="medium",
    ),
    Operation(
        "torch.nn.functional.grid_sample",
        "backward",
        _RAISES,
        calls=_functional("grid_sample"),
    ),
    Operation(
        "torch.cumsum",
        "forward",
        _RAISES,
        when="of floating-point numbers",
        calls=("torch.cumsum",),
        methods=("cumsum",),
        # Most add up masks and lengths, which are integers.
        certainty="possible",
    ),
    Operation(
        "torch.Tensor.resize_",
        "forward",
        _LATER_RAISES,
        ("cpu", "cuda"),
        "of a quantized tensor",
        certainty="possible",
    ),
)
