"""Every key of a config once, with its default and its meaning.

`docs/config.md` is generated from the comments above the keys. A section with a
`name` (views, encoder, objective, optimizer, schedule) selects a function. Its
other keys are arguments of that function and are documented there.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns a config with the default of every key."""
  config = ml_collections.ConfigDict()
  # Seed of the initial parameters, the order of the images, the views and the
  # probes.
  config.seed = 0
  # Training steps. A step is one update of the parameters.
  config.steps = 1000
  # Images per training step, over all devices.
  config.batch_size = 256
  # Slices of a batch that are computed one after another, each with its own
  # negatives. Their gradients are averaged. More slices need less memory.
  config.accumulate = 1
  # Slices of a batch whose features are computed one after another. Negatives
  # come from the whole batch. Needs less memory but a second forward pass.
  config.grad_cache = 1
  # Decay per step of the momentum copy (exponential moving average) of the
  # parameters, in [0, 1). 0 keeps no copy.
  config.ema = 0.0
  # Working directory of another run. Training starts from its weights. ""
  # starts from random weights.
  config.init_from = ""
  config.data = dict(
    # Name of a data set. `infomin data list` prints them.
    name="",
    # Folder of the prepared data sets. "" is the default folder of
    # tensorflow-datasets.
    data_dir="",
    # Split of the training images, in the notation of tensorflow-datasets.
    split="train",
    # Split of the labeled images that probes are fitted to.
    probe_split="train",
    # Split of the labeled images that probes are tested on. The monitor takes
    # held-out pairs from it during training.
    test_split="test",
    # Whether training images stay in the memory of the accelerator if they fit
    # (1 GiB).
    resident=True,
    # Whether the host cuts the crops. Required for images of different sizes.
    host_crops=False,
    # Processes that read and decode images. 0 uses threads of the main process.
    workers=0,
    # Threads per process that read and decode images.
    threads=4,
    # Action for a record that cannot be decoded: "stop" ends the run, "skip"
    # takes the next record instead.
    broken="stop",
  )
  # Views of an image: `name` is a key of `infomin_jax/views`. The other keys
  # are its arguments.
  config.views = dict()
  # Mean and standard deviation of the channels, for pixels in [0, 1]. The
  # images are normalized before the encoder.
  config.normalize = dict(
    # Subtracted from the pixels: one number for all channels, or one per
    # channel.
    mean=(0.5,),
    # The pixels are divided by it: one number for all channels, or one per
    # channel.
    std=(0.5,),
  )
  # Encoder: `name` is a key of `infomin_jax/encoders`. The other keys are its
  # arguments.
  config.encoder = dict()
  # Terms of the loss, each with its `weight` and arguments. The key is the name
  # of a term in `infomin_jax/objectives`, or any word if `term` is the name.
  config.objective = dict()
  # Optimizer: `name` is a key of `infomin_jax/train/optimizers.py`. `clip` is
  # the largest norm of the gradient, 0 for no limit. The other keys are
  # arguments.
  config.optimizer = dict(name="adam", b1=0.5, b2=0.999, clip=0.0)
  # Learning rate over the steps. `peak` is its highest value.
  config.schedule = dict(name="constant", peak=1e-4)
  config.run = dict(
    # Steps between two lines of the log and of metrics.jsonl.
    log_every=100,
    # Steps between two checkpoints.
    checkpoint_every=300,
    # Steps between two evaluations during training: the bound on held-out
    # pairs, and quick probes.
    evaluate_every=300,
    # Images per evaluation during training, at most: test images, and labeled
    # images for the quick probes.
    monitor_examples=1024,
    # Number of checkpoints on disk. Older ones are deleted.
    keep=2,
    # Where metrics go besides metrics.jsonl: "tensorboard", "wandb", "mlflow".
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    # Evaluation protocols. `infomin evaluate --help` lists them.
    protocols=("knn", "linear"),
    # Outputs of the encoder that are evaluated. The first one is also evaluated
    # during training.
    taps=("pool",),
    # Parameters that are evaluated: "online" or "ema" (the momentum copy).
    weights="online",
    # Pixels of the shorter side of an image before its center is cropped to
    # `views.size`. 0 resizes the largest centered square to `views.size`.
    resize=0,
    # Images per batch of features.
    batch_size=512,
    # Largest number of labeled images that probes are fitted to. 0 is all.
    train_examples=0,
    # Largest number of images that probes are tested on. 0 is all.
    test_examples=0,
    # Number of neighbors that vote in `knn`.
    k=200,
    # Temperature of the votes in `knn`: a neighbor has the weight
    # exp(cosine / temperature).
    temperature=0.07,
    # Iterations of probes without epochs: L-BFGS of `linear` and
    # `label_information`, and the solver of `svm`.
    iterations=100,
    # Epochs of probes that are trained by SGD or Adam.
    epochs=1000,
    # Fraction of the labels that `semi_supervised` is fine-tuned on, in (0, 1].
    label_share=0.1,
    # Channels of the decoder of `reconstruction` before its last layer.
    decoder_width=64,
  )
  return config


def tiny(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Shrinks a config for tests: two steps of 16 images, 64 to probe."""
  config.update(
    steps=2,
    batch_size=16,
    run=dict(
      log_every=1, checkpoint_every=1, evaluate_every=2, monitor_examples=64
    ),
    evaluate=dict(
      batch_size=64,
      train_examples=64,
      test_examples=64,
      iterations=5,
      epochs=1,
      decoder_width=8,
    ),
  )
  return config
