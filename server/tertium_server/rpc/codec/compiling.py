"""How these kernels are compiled: as the engine's, which they call. A change in either folder compiles anew."""

from pathlib import Path

from tertium_server.engine.kernel import ENGINE, KernelCompiler

kernel = KernelCompiler(ENGINE, Path(__file__).parent)

array_kernel = KernelCompiler(ENGINE, Path(__file__).parent, for_arrays=True)
