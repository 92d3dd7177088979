"""Codes E10xx: clusters, weighted graphs, plans."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation


def _told(code: str, title: str, explanation: str) -> Explanation:
    """An explanation of what no spec can show: it is about other files."""
    return Explanation(code, title, explanation, "", "")


EXPLANATIONS: tuple[Explanation, ...] = (
    _told(
        "E1001",
        "a cluster file that is no TOML",
        "A cluster is described in TOML. A name such as `8xh100` needs no file.",
    ),
    _told(
        "E1002",
        "a cluster file with a missing, unknown or wrong field",
        "The message names the field. `nodes` is needed; `kinds`, `links` and `routes` "
        "are not.",
    ),
    _told(
        "E1003",
        "an amount without a proper unit",
        'Amounts are numbers in the base unit, or texts with a unit: "80GiB", '
        '"3.35TB/s", "989TFLOP/s", "4us".',
    ),
    _told(
        "E1004",
        "an unknown kind of devices, or no figure for a dtype",
        "Kinds come from the catalogue or from `kinds` in the cluster file. A kind "
        "gives its speed for each dtype that operators compute in.",
    ),
    _told(
        "E1005",
        "a cluster file that names a link or node that is not there",
        "`port` and `uplink` name entries of `links`; `routes` name links and nodes. "
        "A group of several nodes has the nodes `name0`, `name1` and so on.",
    ),
    _told(
        "E1006",
        "a cyclic graph",
        "Operators that wait for each other never run. A value can only go to "
        "operators that run after its source.",
    ),
    _told(
        "E1007",
        "a graph that makes no sense",
        "Names are unique, values come from and go to operators of the graph, and "
        "times and sizes are finite and not negative.",
    ),
    _told(
        "E1008",
        "an unknown device",
        "Plans and pins name devices of the cluster, as `h100:0` or, with several "
        "nodes, `node1/h100:0`.",
    ),
    _told(
        "E1009",
        "pins that contradict each other, or the operator",
        "Operators of a group share a device, so their pins name the same one, and one "
        "that can run them. Shared weights put their operators into a group.",
    ),
    _told(
        "E1010",
        "an operator that no device can run",
        "An operator gives its time by kinds of devices or by single devices; of these "
        "at least one is in the cluster, and one can run all of a group.",
    ),
    _told(
        "E1011",
        "a graph that does not fit",
        "The hint says how much memory, or how many devices, would do.",
    ),
    _told(
        "E1012",
        "a plan that does not hold",
        "A plan that was edited is checked as a whole: its form, every operator on a "
        "device that can run it, pins and groups kept, memory enough, and an order in "
        "which operators stand behind what they read. The stages of a mesh have every "
        "operator once, and are numbered in the order in which they run.",
    ),
    _told(
        "E1013",
        "no backward pass to train",
        "`train` places the forward and the backward pass of a graph together, so some "
        "operators are marked as `backward`.",
    ),
    _told(
        "E1014",
        "types that cannot be trained with",
        "To place training, gradients must have a type. `--policy int8` is for inference.",
    ),
    _told(
        "E1015",
        "a pin that names no operator",
        "Operators are named by their paths in the model; a label such as `blocks.3` names "
        "also all below it, and `blocks.0-5` several. A block that the model calls is "
        "placed as a whole, so nothing inside it can be pinned.",
    ),
    _told(
        "E1016",
        "a batch that does not divide into micro-batches",
        "Every micro-batch has the same size, so their number divides the first axis of "
        "each input; a mesh divides it over its data axis before.",
    ),
    _told(
        "E1017",
        "a plan whose stages go back and forth",
        "A program in stages hands values along a line of devices. `nnspec place` without "
        "`--free` finds plans with such a line; `--schedule Interleaved1F1B` lets the line "
        "pass each device several times.",
    ),
    _told(
        "E1018",
        "a plan that is not emitted",
        "A plan of one device needs no program for several. Keras has engines for stages on devices, "
        "for copies and for split layers, and none for pipelines of processes, for micro-batches and "
        "for sharded states: compile these for PyTorch.",
    ),
    _told(
        "E1019",
        "a mesh where there can be none",
        "A mesh divides the batch over equal devices in equal nodes, so all inputs start "
        "with the same size, and the cluster has one kind of devices.",
    ),
    _told(
        "E1020",
        "a mesh that is not there",
        "`--mesh any` looks at all meshes of the devices; `--mesh tensor=2,pipeline=4` at "
        "those with the axes that are named. The axes multiply to all devices; tensor "
        "parallelism stays inside of a node and needs something that it splits evenly.",
    ),
    Explanation(
        "E1030",
        "batch statistics under micro-batches",
        "A pipeline runs a batch in parts. Layers that normalise over the batch would take the "
        "statistics of each part, and the program would compute something else. Use a norm that "
        "does not look at the batch, or freeze the layer.",
        "",
        "",
    ),
    Explanation(
        "E1031",
        "a schedule that does not fit",
        "`GPipe` and `1F1B` run one stage in each process; `Interleaved1F1B` and "
        "`InterleavedZeroBubble` run stages round after round, `ZBVZeroBubble` there and back. "
        "1F1B needs as many micro-batches as stages; the interleaved ones take as many at a "
        "time as there are processes, or divide them into turns of equal size. Those that run "
        "the halves of the backward pass apart can shard no more than states over the data axis.",
        "",
        "",
    ),
    _told(
        "E1032",
        "a layer in two stages of one process",
        "Each stage makes the layers that it applies, so a layer that two stages apply would be two, "
        "with weights that drift apart. Put its uses into one stage. A pipeline of processes keeps "
        "such copies alike.",
    ),
    _told(
        "E1033",
        "an engine that Keras does not have on this backend",
        "Devices in a layer and `MirroredStrategy` are TensorFlow's; `keras.distribution` shards on "
        "JAX, and is accepted and ignored on TensorFlow: every device would hold the whole model.",
    ),
    _told(
        "E1034",
        "batch statistics in copies of a model",
        "Along a data axis, and with `MirroredStrategy`, each copy has a part of the batch. Layers that "
        "normalise over the batch would take the statistics of that part. Use a norm that does not look "
        "at the batch, freeze the layer, or let JAX share out the batch, which takes the statistics of "
        "all of it.",
    ),
    _told(
        "E1035",
        "nothing to split",
        "A tensor axis splits linear layers in pairs with functions of single elements or attention "
        "between them, vocabularies and last layers, where it divides their widths and heads. Where "
        "there are none, every device would hold the whole model.",
    ),
)
