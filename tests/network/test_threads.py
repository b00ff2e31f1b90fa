"""One Keras model in many threads: its outputs and weights stay the same, and so do the maps."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from small_models import small_network

from gradcam_cli import explain

THREADS = 16


def test_threads_that_explain_and_serve_one_model():
    """16 threads explain a model while another calls it: every output is a softmax, every map the sequential one."""
    model = small_network()
    images = [np.random.default_rng(i).integers(0, 256, (12, 12, 3), np.uint8) for i in range(THREADS)]
    x = np.stack(images).astype(np.float32) / 255
    weights, served, stop = [w.copy() for w in model.get_weights()], [], threading.Event()
    expected = model(x).numpy()
    sequential = [explain(image, model, "conv2", preprocess="0..1").heatmap for image in images]

    def serve():
        while not stop.is_set():
            served.append(model(x).numpy())

    server = threading.Thread(target=serve)
    server.start()
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            parallel = list(pool.map(lambda image: explain(image, model, "conv2", preprocess="0..1").heatmap, images))
    finally:
        stop.set()
        server.join()
    assert served
    for output in [*served, model(x).numpy()]:
        np.testing.assert_allclose(output, expected, rtol=1e-5)
    for one, other in zip(parallel, sequential, strict=True):
        np.testing.assert_array_equal(one, other)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
