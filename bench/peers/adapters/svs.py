import os

import numpy as np
import svs

from adapters import Adapter


class Peer(Adapter):
    PACKAGE = "scalable-vs"
    SETTINGS = "Vamana, f16, degree 32, window 200"

    def distance(self):
        return svs.DistanceType.MIP if self.metric == "dot" else svs.DistanceType.L2

    def build(self, rows, folder):
        # Alpha is at most 1 where greater is nearer, at least 1 where smaller is.
        alpha = 0.95 if self.metric == "dot" else 1.2
        parameters = svs.VamanaBuildParameters(alpha=alpha, graph_max_degree=32, window_size=200)
        halves = rows.astype(np.float16)
        self.index = svs.Vamana.build(parameters, halves, self.distance(), num_threads=self.threads)

    def save(self, folder):
        self.index.save(*(os.path.join(folder, part) for part in ("config", "graph", "data")))

    def open(self, folder, dim):
        config, graph, data = (os.path.join(folder, part) for part in ("config", "graph", "data"))
        loader = svs.VectorDataLoader(data, svs.DataType.float16, dims=dim)
        self.index = svs.Vamana(config, svs.GraphLoader(graph), loader, self.distance(), num_threads=1)

    def effort(self, value):
        self.index.search_window_size = value

    def ask(self, query):
        return self.index.search(query, self.k)[0][0]
