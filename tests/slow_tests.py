"""What the quick inner loop leaves out, beside what is marked ``slow`` where it stands.

Each of these takes half a second or more: it trains, starts processes, opens a kernel, or goes
through many nets or figures. ``conftest`` marks them; ``test_style`` looks whether they exist.
"""

FILES = (
    "test_experiments.py",
    "test_gpu_benchmarks.py",
    "test_jobs.py",
    "test_pictures.py",
    "test_practice.py",
    "test_search.py",
    "test_sessions.py",
    "test_setup_cell.py",
    "test_several.py",
    "test_stopping.py",
    "test_writing.py",
)
TESTS = (
    "test_a_full_size_data_set_is_sorted_within_seconds_and_loads_from_the_cache_in_two",
    "test_a_killed_process_leaves_nothing_that_the_next_load_does_not_remove",
    "test_a_process_killed_while_it_writes_leaves_the_old_file",
    "test_as_a_process_the_command_returns_status_and_text",
    "test_boxes_behind_random_heads_equal_the_gradients",
    "test_cutout_makes_one_square_hole_wholly_inside_at_every_place",
    "test_importing_the_models_is_quick",
    "test_in_a_notebook_figures_are_shown_when_the_cell_ends",
    "test_no_flipped_bit_is_taken_for_a_weight",
    "test_no_float_copy_of_the_data_set_is_held",
    "test_outside_a_notebook_no_list_of_figures_grows",
    "test_published_nets_have_their_known_fields_in_time",
    "test_single_positions_of_paths_that_meet_see_what_gradients_say",
    "test_tables_equal_the_gradients_of_random_nets",
    "test_the_cifar10_pipeline_draws_from_the_same_distribution",
    "test_the_mnist_pipeline_draws_from_the_same_distribution",
    "test_the_names_are_those_of_replacing",
    "test_the_real_mnist_keeps_its_order_and_its_published_mean_and_deviation",
    "test_vgg_11_on_small_images_sees_150_pixels",
    "test_weights_fit_however_the_net_is_wrapped",
    "test_thirty_figures_raise_no_warning_and_can_be_written",
)
