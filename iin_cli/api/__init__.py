"""The public Python API: what `import iin_cli` offers; it prints nothing and writes only what it is asked to."""
