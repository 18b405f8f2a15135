"""How these kernels are compiled: as the engine's, cached by a hash of this folder. They call none from elsewhere."""

from pathlib import Path

from tertium_server.engine.kernel import KernelCompiler

kernel = KernelCompiler(Path(__file__).parent, for_arrays=True)
