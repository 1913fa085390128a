"""Cut any network f: images -> logits behind one of its layers, so that f = G∘E with z = E(x) of shape (B, N).

The network is traced once (torch.fx) and never changed: both parts run its own modules, so that weights, device and
result stay those of f; one whose code cannot be traced is cut by hooks. Where the layer gives a large map, z is its
average over the map and G spreads z evenly over it: G∘E then only approximates f, unless the network goes on with an
average itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, fx, nn

from ..errors import UsageError, nearest
from .feature_maps import Form, as_latent, inner_name
from .hooked import HookedCut, hooked_layers

__all__ = ["Cut", "cut_at", "cut_before_head", "cuttable_layers", "evaluating"]


class Cut:
    """E and G of a traced network, cut behind `node`.

    Args:
        traced: the network.
        node: the value that becomes z.
        form: shape and memory format of that value; a large one is averaged down to its channels (`as_latent`).

    Attributes:
        is_concurrent: whether several threads may use the cut at once.
    """

    is_concurrent = True

    def __init__(self, traced: _Traced, node: fx.Node, form: Form) -> None:
        self.form, self.dim = form, form.dim
        self._graphs = _part(traced.graph, None, node), _part(traced.graph, node, traced.output)
        self._set(traced.network)

    def _set(self, network: nn.Module) -> None:
        self._network = network
        self._before, self._after = (fx.Interpreter(network, graph=graph) for graph in self._graphs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Cut a copy of the network in the same place; the graphs are never changed, and stay shared."""
        other = copy.copy(self)
        other._set(copy.deepcopy(self._network, memo))
        return other

    def encode(self, inputs: Tensor) -> Tensor:
        """E: the network's inputs (B, …) -> z (B, N)."""
        return as_latent(_run(self._before, inputs))

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> the network's output."""
        return _run(self._after, self.form.spread(z))


def _run(part: fx.Interpreter, inputs: Tensor) -> Any:
    """Run a part of a network; a copy holds what it computes, so that several threads may run the part at once."""
    return copy.copy(part).run(inputs)


def cut_before_head(network: nn.Module, called: str) -> Cut:
    """Cut before the last linear layer: z is that layer's input, G the layer itself.

    Args:
        called: the network's name, for messages.

    Raises UsageError when the network does not end in a linear layer; the message names layers to cut at instead.
    """
    traced = _Traced(network)
    last = traced.output
    head = network.get_submodule(str(last.target)) if last.op == "call_module" else None
    if not isinstance(head, nn.Linear):
        # Suggest outer modules only: a cut inside one of them is no better.
        outer = [name for name in traced.cuttable() if "." not in name]
        raise UsageError(
            f"{called} does not end in a linear layer: say where to cut it, --layer {' or --layer '.join(outer[-2:])}"
        )
    (source,) = last.all_input_nodes
    return Cut(traced, source, Form((head.in_features,)))


def cut_at(network: nn.Module, layer: str, inputs: Tensor, called: str, within: str = "") -> Cut | HookedCut:
    """Cut behind the module named `layer`; where it is used several times, behind its last use.

    Args:
        inputs: (B, …) example inputs; B of at least 2 tells values with a row per image from others.
        called: the network's name, for messages.
        within: name of the part of the network in which the layers have their names.

    Raises UsageError, naming the nearest possible layers, when there is no such layer, its output is not one tensor
    with a row per image, or the rest of the network needs more than that output.
    """
    traced = _trace(network, within)
    if traced is None or traced.hides_all or traced.hides(layer):
        return HookedCut(network, layer, inputs, called, within)
    forms = traced.forms(inputs)
    possible = [name for name in traced.cuttable() if traced.layers[name] in forms]
    if layer not in traced.layers:
        missing = _missing(network.get_submodule(within), layer)
        raise UsageError(f"--layer {layer}: {called} {missing}; {_suggestion(layer, possible)}")
    node = traced.layers[layer]
    if node is None or node not in forms:
        raise UsageError(
            f"--layer {layer}: its output in {called} is not one tensor with a row per image; "
            f"{_beside(traced, layer, possible)}"
        )
    if layer not in possible:
        raise UsageError(
            f"--layer {layer}: {called} cannot be cut there, since a branch bypasses that layer; "
            f"{_beside(traced, layer, possible)}"
        )
    return Cut(traced, node, forms[node])


def cuttable_layers(network: nn.Module, inputs: Tensor, within: str = "") -> tuple[str, ...]:
    """Return the layer names that `cut_at` accepts, in the order they are computed; arguments as for `cut_at`."""
    traced = _trace(network, within)
    if traced is None or traced.hides_all:
        return hooked_layers(network, inputs, within)
    forms = traced.forms(inputs)
    return tuple(name for name in traced.cuttable() if traced.layers[name] in forms)


@contextmanager
def evaluating(network: nn.Module | None) -> Iterator[None]:
    """Put a network into evaluation mode, and restore the mode of each of its modules afterwards."""
    modules = [] if network is None else list(network.modules())
    modes = [module.training for module in modules]
    if network is not None:
        network.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


class _Tracer(fx.Tracer):
    """Traces a network and records the last output of each of its modules, at any depth.

    A module whose own code cannot be traced, as code that asks for the size of an image, is one step of the graph.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, Any] = {}
        self.opaque: dict[nn.Module, str] = {}

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        # One input: what else `forward` takes keeps its default, on which its code may branch.
        return root_fn, [self.root, self.create_proxy("placeholder", "inputs", (), {})]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m in self.opaque or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        nodes, outputs, stack = len(self.graph.nodes), dict(self.outputs), self.module_stack.copy()
        name = self.path_of_module(m)
        try:
            output = super().call_module(m, forward, args, kwargs)
        # Code that cannot be traced fails in as many ways as there are modules.
        except Exception:
            for node in reversed(list(self.graph.nodes)[nodes:]):
                self.graph.erase_node(node)
            self.outputs, self.module_stack = outputs, stack
            self.opaque[m] = name
            output = super().call_module(m, forward, args, kwargs)
        # Removed first, so that the order is that of the last uses.
        self.outputs.pop(name, None)
        self.outputs[name] = output
        return output


class _Traced:
    """The graph of a network in evaluation mode; `layers` maps module name -> output node, or None if not a tensor.

    Args:
        within: name of the part of the network in which the layers have their names.
    """

    def __init__(self, network: nn.Module, within: str = "") -> None:
        tracer = _Tracer()
        # Dropout and similar layers check the mode while they are traced.
        with evaluating(network):
            self.graph = tracer.trace(network)
        self.network = network
        self.layers = {
            inner: output.node if isinstance(output, fx.Proxy) else None
            for name, output in tracer.outputs.items()
            if (inner := inner_name(name, within)) is not None
        }
        part = network.get_submodule(within)
        names = {module: name for name, module in part.named_modules()}
        # The part itself is called "": everything is hidden in it.
        self._opaque = [names[module] for module in tracer.opaque if module in names]
        self._known = set(names.values()) - {""}
        (end,) = (node for node in self.graph.nodes if node.op == "output")
        self.output: fx.Node = end.args[0]

    @property
    def hides_all(self) -> bool:
        """Whether the part of the network in which the layers have their names cannot be traced."""
        return "" in self._opaque

    def hides(self, layer: str) -> bool:
        """Say whether `layer` is computed inside a module that cannot be traced."""
        return layer in self._known and any(layer.startswith(f"{name}.") for name in self._opaque)

    def cuttable(self) -> list[str]:
        """Return the names of the layers that every path from the images to the logits goes through, in order."""
        order = {node: number for number, node in enumerate(self.graph.nodes)}
        needed = _needed(self.output, None)
        on_paths, furthest, bridges = set(), -1, set()
        for node in self.graph.nodes:
            from_images = node.op == "placeholder" or any(source in on_paths for source in node.all_input_nodes)
            if node not in needed or not from_images:
                continue
            on_paths.add(node)
            # Nodes are in order of computation: a path that bypasses this one has an edge that jumps over it.
            if furthest <= order[node]:
                bridges.add(node)
            furthest = max([furthest, *(order[user] for user in node.users if user in needed)])
        return [name for name, node in self.layers.items() if node in bridges]

    @torch.no_grad()
    def forms(self, inputs: Tensor) -> dict[fx.Node, Form]:
        """Run the network once; return the form of every tensor that has a row per row of `inputs`."""
        runner = _Forms(self.network, self.graph, len(inputs))
        runner.run(inputs)
        return runner.found


class _Forms(fx.Interpreter):
    def __init__(self, network: nn.Module, graph: fx.Graph, rows: int) -> None:
        super().__init__(network, graph=graph)
        self.rows: int = rows
        self.found: dict[fx.Node, Form] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        form = Form.of(value, self.rows)
        if form is not None and n.op != "output":
            self.found[n] = form
        return value


def _trace(network: nn.Module, within: str) -> _Traced | None:
    """Trace a network; None where its own code cannot be traced."""
    try:
        return _Traced(network, within)
    # It fails in as many ways as there are networks.
    except Exception:
        return None


def _needed(output: fx.Node, start: fx.Node | None) -> set[fx.Node]:
    """Return every node that `output` is computed from, not going back beyond `start`."""
    needed, waiting = {output}, [output]
    while waiting:
        node = waiting.pop()
        if node is not start:
            new = [source for source in node.all_input_nodes if source not in needed]
            needed.update(new)
            waiting.extend(new)
    return needed


def _part(graph: fx.Graph, start: fx.Node | None, end: fx.Node) -> fx.Graph:
    """Copy the part of `graph` that computes `end` from the inputs, or from the value of `start`."""
    needed, part, copies = _needed(end, start), fx.Graph(), {}
    if start is not None:
        copies[start] = part.placeholder("z")
    for node in graph.nodes:
        if node in needed and node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(copies[end])
    return part


def _missing(network: nn.Module, layer: str) -> str:
    known = {name for name, _ in network.named_modules()}
    return "does not compute that layer on its own" if layer in known and layer else "has no such layer"


def _suggestion(layer: str, possible: list[str]) -> str:
    close = nearest(layer, possible)
    if close.startswith("did you mean"):
        return close
    # Hundreds of names would not help.
    return nearest(layer, [name for name in possible if "." not in name] or possible[-5:])


def _beside(traced: _Traced, layer: str, possible: list[str]) -> str:
    names = list(traced.layers)
    here = names.index(layer)
    before = [name for name in names[:here] if name in possible]
    after = [name for name in names[here + 1 :] if name in possible]
    return f"the nearest layers to cut at: {' or '.join([*before[-1:], *after[:1]])}"
